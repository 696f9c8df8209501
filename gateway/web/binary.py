"""Bodies that are streamed: what an unlimited token reads, and a Binary once it is permitted or vouched for."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass

from gateway.fhir.bundle import read_bundle
from gateway.fhir.interaction import TypeSearch
from gateway.fhir.links import AddressRewriter
from gateway.fhir.query import Filter, Hop, Key, Query
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resource import Members, address_in, decode_member, read_resource
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, KeepBinary, KeepMatches, Send
from gateway.policy.judge import belongs, judge
from gateway.policy.judge_bundle import judge_bundle
from gateway.policy.reasons import Reason
from gateway.upstream.exchange import Response
from gateway.web.answer import Answer, Header, Refused, Streamed, fhir_answer
from gateway.web.fetch import FhirServer, Head, read_head, refuse
from gateway.web.reading import Asked, Reader

_MOST_DOCUMENTS = 200
_LENGTH = re.compile(rb"\d{1,15}")
# A type of the tree that browsers and viewers know, and no parameter but a charset: a header is no place for more.
_MEDIA_TYPE = re.compile(rb"[a-z]{1,20}/[a-z0-9.+\-]{1,100}(;\s*charset=\"?[A-Za-z0-9\-]{1,20}\"?)?")
# Servers write FHIR JSON in many ways; whatever could be one of them is read as such.
_OTHER_TYPE = re.compile(rb"(?!application/fhir)(?:(?!json)[^\s;,])+/(?:(?!json)[^\s;,])+\s*(;[^,]*)?")
# Who accepts nothing else need not be asked for another form first (R4 Binary: a FHIR type means the resource).
_FHIR_JSON_ALONE = re.compile(rb"application/(fhir\+)?json\s*(;[^,]*)?", re.IGNORECASE)
# What a Binary holds is somebody else's document: it must not run as a page of ours.
_SANDBOXED: Header = (b"content-security-policy", b"sandbox; default-src 'none'")
_AS_A_DOCUMENT: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    _SANDBOXED,
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
    server: FhirServer, send: Send, keep: KeepBinary, asked: Asked, reader: Reader, rewriter: AddressRewriter
) -> Answer:
    """A Binary that a unit permits by itself, or that something in the unit's reach vouches for (enforcement.md 2).

    FHIR JSON is read whole, and what leaves is what was judged. Any other form says nothing of itself: it is streamed
    once its head permits it (`X-Security-Context`, R4 Binary 2.36.4), or once the same Binary in JSON does and the head
    does not say otherwise. Raises `Refused` (not found) where nothing permits it: that the server has it, but not in
    the form asked for, must not be told before (leak_30). Raises `MalformedResourceError`.
    """
    binary = _Binary(server, keep, asked, reader)
    in_json = _FHIR_JSON_ALONE.fullmatch(asked.accept) is not None
    if not in_json:
        response = await server.open(send, asked.trace, asked.accept)
        head = read_head(response)
        raw = _is_raw(response, head)
        if raw and await _holds(binary.is_permitted_by_head(response), response):
            return streamed(response, head, rewriter)
        await response.aclose()
        in_json = head.readable and not raw
    fetched = await server.fetch(send, asked.trace)
    members, text = read_resource(fetched.body)
    if not await binary.is_permitted(members):
        raise Refused(Reason.OUT_OF_REACH)
    answer = None if in_json else await _raw_after_all(binary, members, send, rewriter)
    if answer is None:
        answer = fhir_answer(rewriter.rewrite(text), headers=(*fetched.validators, _SANDBOXED))
        answer.kept = 1
    return answer


async def _raw_after_all(binary: "_Binary", members: Members, send: Send, rewriter: AddressRewriter) -> Answer | None:
    """The raw form of the Binary that was permitted as `members`; None where the server answers in FHIR's own."""
    response = await binary.server.open(send, binary.asked.trace, binary.asked.accept)
    head = read_head(response)
    if not head.readable:
        await refuse(response)
    raw = _is_raw(response, head)
    if raw and await _holds(binary.is_not_contradicted_by_head(response, members), response):
        return streamed(response, head, rewriter)
    await response.aclose()
    if raw:
        raise Refused(Reason.OUT_OF_REACH)
    return None


def _is_raw(response: Response, head: Head) -> bool:
    """Whether what comes is what the Binary holds, and no resource: its type is plainly neither JSON nor FHIR's own."""
    types = [value.lower() for name, value in response.headers if name == b"content-type"]
    return head.readable and len(types) == 1 and _OTHER_TYPE.fullmatch(types[0]) is not None


async def _holds(question: Awaitable[bool], response: Response) -> bool:
    try:
        return await question
    except BaseException:
        await response.aclose()
        raise


@dataclass(frozen=True, slots=True)
class _Binary:
    """One Binary that is asked for, and whether it may be shown."""

    server: FhirServer
    keep: KeepBinary
    asked: Asked
    reader: Reader

    async def is_permitted_by_head(self, response: Response) -> bool:
        """Whether a raw answer may leave that nothing but its head tells of."""
        if self.keep.permission.unlimited:
            return True
        context = _context(response)
        return context is not None and await self._vouches(context)

    async def is_not_contradicted_by_head(self, response: Response, members: Members) -> bool:
        """Whether the head of a raw answer says nothing against the Binary that was permitted as `members`."""
        context = _context(response)
        return context is None or self._is_permitted_by_itself(members) or await self._vouches(context)

    async def is_permitted(self, members: Members) -> bool:
        """Whether the Binary in JSON may leave."""
        if address_in(members) != ("Binary", self.keep.reference.id):
            return False
        if self._is_permitted_by_itself(members):
            return True
        if not self.keep.permission.vouched or "contained" in members:
            # A Binary contains nothing (R4: it is no DomainResource), so nobody vouches for what one does contain.
            return False
        if "securityContext" not in members:
            return await self._a_document_points_at_it()
        value = decode_member(members["securityContext"])
        text = value.get("reference") if isinstance(value, dict) else None
        return isinstance(text, str) and await self._vouches(text)

    def _is_permitted_by_itself(self, members: Members) -> bool:
        return judge(members, self.keep.permission, self.asked.grant) is True

    async def _vouches(self, context: str) -> bool:
        reference = parse_reference(context, self.asked.grant.rules.bases)
        return reference is not None and await self.reader.vouches(reference, self.keep.permission.vouched, self.asked)

    async def _a_document_points_at_it(self) -> bool:
        """Whether the token finds a DocumentReference within the reach whose attachment is this Binary.

        Many servers cannot search by `location`: then the documents that the token finds are looked through, up to
        `_MOST_DOCUMENTS` of them.
        """
        rules, reference = self.asked.grant.rules, self.keep.reference
        places = ",".join([str(reference), *(f"{base}/{reference}" for base in rules.bases)])
        by_place = Query(filters=(Filter(Key((Hop("location"),)), places),))
        if "location" not in rules.unsupported_parameters.get("DocumentReference", ()):
            try:
                return await self._one_attaches_it(by_place)
            except Refused as refused:
                if refused.deny.reason is not Reason.UPSTREAM_REJECTED:
                    raise
        return await self._one_attaches_it(Query(count=_MOST_DOCUMENTS))

    async def _one_attaches_it(self, query: Query) -> bool:
        grant = self.asked.grant
        decision = decide(TypeSearch("DocumentReference", query), grant)
        if not isinstance(decision, Allow) or not isinstance(decision.keep, KeepMatches):
            return False
        fetched = await self.server.fetch(decision.send, self.asked.trace)
        verdict = judge_bundle(read_bundle(fetched.body), decision.keep)
        found = [entry.resource for entry in verdict.kept if entry is not None and entry.resource is not None]
        return any(
            _attaches(members, self.keep.reference, grant.rules.bases)
            and belongs(members, self.keep.permission.vouched, grant.rules)
            for members in found
            if "content" in members
        )


def _context(response: Response) -> str | None:
    """What the head names as security context; two of them name nothing that could be found."""
    named = [value.decode("latin-1") for name, value in response.headers if name == b"x-security-context"]
    return ",".join(named) if named else None


def _attaches(members: Members, reference: Reference, bases: tuple[str, str]) -> bool:
    content = decode_member(members["content"])
    for one in content if isinstance(content, list) else ():
        attachment = one.get("attachment") if isinstance(one, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str) and parse_reference(url, bases) == reference:
            return True
    return False
