"""Reads and vreads of Binary: FHIR JSON is judged as a whole; raw content is streamed once it is permitted."""

import re
from collections.abc import Awaitable

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FHIR_HEADERS, FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.media_types import accepts_json
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.resource import MalformedResourceError, Members
from gateway.fhir.resources.version import read_version
from gateway.policy.decision_types import BinaryFilter, UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer, ResponseHead, read_head, refuse_response
from gateway.proxy.reading.binary_checks import BinaryChecks
from gateway.proxy.reading.binary_format import check_acceptable, is_raw_type, lacks_form, respond_with_content
from gateway.proxy.reading.decoded_content import fetch_binary, stream_decoded_content
from gateway.proxy.reading.read_response import SANDBOX, build_validators, not_modified, respond_to_read
from gateway.proxy.reading.record_failures import hangs_on_record
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.reading.streamed_response import stream_response
from gateway.proxy.request_context import RequestContext
from gateway.upstream.exchange_types import Response

_ABSENT = frozenset({Reason.OUT_OF_REACH, Reason.NOT_FOUND})
# For a client that accepts nothing else, raw content is not requested (R4 Binary: a FHIR type means the resource).
_ONLY_FHIR_JSON = re.compile(rb"application/(fhir\+)?json\s*(;[^,]*)?", re.IGNORECASE)


async def read_binary(
    server: FhirServer,
    upstream_request: UpstreamRequest,
    binary_filter: BinaryFilter,
    context: RequestContext,
    checks: ResourceChecks,
    rewriter: UrlRewriter,
) -> FhirResponse:
    """A Binary that a unit permits, or for which a resource within the unit's reach vouches (enforcement.md 2).

    FHIR JSON is read completely, and exactly what was judged is sent. Raw content says nothing about itself. It is
    streamed if its head permits it (`X-Security-Context`, R4 Binary 2.36.4), or if the same Binary in JSON is permitted
    and the head does not contradict that.

    Raises `RequestRefused` (not found) if nothing permits it: whether the server has the Binary in the requested form
    must not be revealed before (leak_30). A form that the client does not accept is refused with 406 after that. Raises
    `MalformedResourceError`.
    """
    binary = BinaryChecks(server, binary_filter, context, checks)
    current_version = await binary.check_current() if binary_filter.reference.version_id is not None else None
    wants_json = _ONLY_FHIR_JSON.fullmatch(context.accept) is not None
    if not wants_json:
        response = await server.open(upstream_request, context.trace, context.accept)
        head = read_head(response)
        is_raw = _is_raw(response, head)
        if is_raw and await _check_or_close(binary.is_permitted_by_head(response), response):
            await check_acceptable(response, context.accept)
            return stream_response(response, head, rewriter)
        await response.aclose()
        wants_json = head.is_readable and not is_raw
    members, text, is_without_content = await fetch_binary(server, upstream_request, context.trace)
    if not await binary.is_permitted(members, current_version):
        raise RequestRefused(Reason.OUT_OF_REACH)
    version = read_version(members)
    unmodified = not_modified(build_validators(version), context.interaction)
    if unmodified is not None:
        return unmodified
    raw_response = None if wants_json else await _open_raw(binary, members, upstream_request, rewriter)
    if raw_response is not None:
        return raw_response
    if is_without_content:
        return await stream_decoded_content(server, members, text, context)
    if not accepts_json(context.accept):
        return respond_with_content(members, context)
    return respond_to_read(rewriter.rewrite(text), version, context.interaction, (*FHIR_HEADERS, SANDBOX))


async def may_read_binary(
    server: FhirServer, reference: Reference, context: RequestContext, checks: ResourceChecks
) -> bool:
    """Whether the token can read the Binary in its current version. Raises `RequestRefused`."""
    permission = context.grant.read_permission("Binary")
    binary = BinaryChecks(server, BinaryFilter(permission, reference, context.grant), context, checks)
    try:
        await binary.check_current()
    except MalformedResourceError:
        return False
    except RequestRefused as refused:
        if refused.deny.reason in _ABSENT or await hangs_on_record(refused, "Binary", server, context.trace):
            return False
        if refused.deny.reason is Reason.UPSTREAM_FAILED:
            # Only a Binary that exists leads to a search for documents, so a failure there would reveal it.
            refused.public_reason = Reason.NOT_FOUND
        raise
    return True


async def _open_raw(
    binary: BinaryChecks, members: Members, upstream_request: UpstreamRequest, rewriter: UrlRewriter
) -> FhirResponse | None:
    """The raw content of the Binary that was permitted as `members`; None if the server has FHIR alone."""
    response = await binary.server.open(upstream_request, binary.context.trace, binary.context.accept)
    head = read_head(response)
    if lacks_form(response):
        await response.aclose()
        return None
    if not head.is_readable:
        await refuse_response(response)
    is_raw = _is_raw(response, head)
    if is_raw and await _check_or_close(binary.is_not_contradicted_by_head(response, members), response):
        await check_acceptable(response, binary.context.accept)
        # The head's own validators are not verified (enforcement.md 8).
        return stream_response(response, head, rewriter, build_validators(read_version(members)))
    await response.aclose()
    if is_raw:
        raise RequestRefused(Reason.OUT_OF_REACH)
    return None


def _is_raw(response: Response, head: ResponseHead) -> bool:
    """Whether the body is the content of the Binary and not a resource."""
    types = [value for name, value in response.headers if name == b"content-type"]
    return head.is_readable and len(types) == 1 and is_raw_type(types[0])


async def _check_or_close(check: Awaitable[bool], response: Response) -> bool:
    """The result of the check. If the check fails with an exception, the response is closed."""
    try:
        return await check
    except BaseException:
        await response.aclose()
        raise
