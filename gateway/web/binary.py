"""Bodies that are streamed: what an unlimited token reads, and a Binary once something readable vouches for it."""

import re
from collections.abc import Awaitable

from gateway.fhir.bundle import read_bundle
from gateway.fhir.interaction import TypeSearch
from gateway.fhir.links import AddressRewriter
from gateway.fhir.query import Filter, Hop, Key, Query
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resource import Members, address_in, decode_member, open_resource
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, KeepMatches, Send
from gateway.policy.judge_bundle import judge_bundle
from gateway.policy.reasons import Reason
from gateway.upstream.exchange import Response
from gateway.web.answer import Answer, Header, Refused, Streamed
from gateway.web.fetch import FhirServer, Head, read_head, refuse
from gateway.web.reading import Asked, Reader

_MOST_DOCUMENTS = 200
_LENGTH = re.compile(rb"\d{1,15}")
# A type of the tree that browsers and viewers know, and no parameter but a charset: a header is no place for more.
_MEDIA_TYPE = re.compile(rb"[a-z]{1,20}/[a-z0-9.+\-]{1,100}(;\s*charset=\"?[A-Za-z0-9\-]{1,20}\"?)?")
# What a Binary holds is somebody else's document: it must not run as a page of ours.
_AS_A_DOCUMENT: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
)


def streamed(response: Response, head: Head, rewriter: AddressRewriter) -> Answer:
    """The answer that passes the upstream's body on piece by piece, in constant memory (performance.md rule 7).

    In JSON the upstream's addresses become ours (enforcement.md 5), and so the length may change.
    """
    headers = [(name, value) for name, value in response.headers if _may_pass(name, value)]
    pieces = response.stream()
    if head.json:
        headers = [header for header in headers if header[0] != b"content-length"]
        pieces = rewriter.rewrite_pieces(pieces)
    answer = Answer(
        200, Reason.PERMITTED, Streamed(pieces, response.aclose), [*headers, *head.validators, *_AS_A_DOCUMENT]
    )
    answer.kept = 1
    return answer


def _may_pass(name: bytes, value: bytes) -> bool:
    """`Content-Disposition` stays behind: its file name is text of the server's own."""
    if name == b"content-type":
        return _MEDIA_TYPE.fullmatch(value) is not None
    return name == b"content-length" and _LENGTH.fullmatch(value) is not None


async def relay(server: FhirServer, send: Send, asked: Asked, rewriter: AddressRewriter, accept: bytes) -> Answer:
    """What a token that sees everything reads: nothing to judge, so nothing is held back."""
    response = await server.open(send, asked.trace, accept)
    head = read_head(response)
    if not head.readable:
        await refuse(response)
    return streamed(response, head, rewriter)


async def keep_binary(
    server: FhirServer, send: Send, reference: Reference, asked: Asked, reader: Reader, rewriter: AddressRewriter
) -> Answer:
    """A Binary, if its security context or a document that points at it may be seen (enforcement.md 2).

    A raw answer that carries `X-Security-Context` (R4 Binary, 2.36.4) is decided on its head alone and streamed; else
    the resource is read first. Raises `Refused` (not found) where nothing vouches for it: that the server has it, but
    not in the form asked for, must not be told before (leak_30).
    """
    response = await server.open(send, asked.trace, asked.accept)
    head = read_head(response)
    bases = asked.grant.rules.bases
    named = next((value for name, value in response.headers if name == b"x-security-context"), None)
    if named is not None and head.readable and not head.json:
        context = parse_reference(named.decode("latin-1"), bases)
        if context is not None and await _settled(reader.may_see(context, asked), response):
            return streamed(response, head, rewriter)
    await response.aclose()
    members = open_resource((await server.fetch(send, asked.trace)).body)
    if not await _is_vouched_for(members, reference, asked, server, reader):
        raise Refused(Reason.OUT_OF_REACH)
    return await relay(server, send, asked, rewriter, asked.accept)


async def _settled(question: Awaitable[bool], response: Response) -> bool:
    try:
        return await question
    except BaseException:
        await response.aclose()
        raise


async def _is_vouched_for(
    members: Members, reference: Reference, asked: Asked, server: FhirServer, reader: Reader
) -> bool:
    if address_in(members) != ("Binary", reference.id):
        return False
    if "securityContext" in members:
        value = decode_member(members["securityContext"])
        text = value.get("reference") if isinstance(value, dict) else None
        context = parse_reference(text, asked.grant.rules.bases) if isinstance(text, str) else None
        return context is not None and await reader.may_see(context, asked)
    return await _a_document_points_at(reference, asked, server)


async def _a_document_points_at(reference: Reference, asked: Asked, server: FhirServer) -> bool:
    """Whether the token finds a DocumentReference whose attachment is this Binary.

    Many servers cannot search by `location`: then the documents that the token finds are looked through, up to
    `_MOST_DOCUMENTS` of them.
    """
    bases = asked.grant.rules.bases
    places = ",".join([str(reference), *(f"{base}/{reference}" for base in bases)])
    by_place = Query(filters=(Filter(Key((Hop("location"),)), places),))
    if "location" not in asked.grant.rules.unsupported_parameters.get("DocumentReference", ()):
        try:
            return await _one_attaches(by_place, reference, asked, server)
        except Refused as refused:
            if refused.deny.reason is not Reason.UPSTREAM_REJECTED:
                raise
    return await _one_attaches(Query(count=_MOST_DOCUMENTS), reference, asked, server)


async def _one_attaches(query: Query, reference: Reference, asked: Asked, server: FhirServer) -> bool:
    decision = decide(TypeSearch("DocumentReference", query), asked.grant)
    if not isinstance(decision, Allow) or not isinstance(decision.keep, KeepMatches):
        return False
    fetched = await server.fetch(decision.send, asked.trace)
    verdict = judge_bundle(read_bundle(fetched.body), decision.keep)
    found = [entry.resource for entry in verdict.kept if entry is not None and entry.resource is not None]
    bases = asked.grant.rules.bases
    return any(_attaches(members, reference, bases) for members in found if "content" in members)


def _attaches(members: Members, reference: Reference, bases: tuple[str, str]) -> bool:
    content = decode_member(members["content"])
    for one in content if isinstance(content, list) else ():
        attachment = one.get("attachment") if isinstance(one, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str) and parse_reference(url, bases) == reference:
            return True
    return False
