"""In which form a Binary leaves: one that the client accepts, or none."""

import base64
import re

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.request.interaction import Interaction, Read, VRead
from gateway.fhir.request.media_types import accepts, accepts_json
from gateway.fhir.resources.resource import MalformedResourceError, Members, decode_member, read_type_and_id
from gateway.fhir.resources.version import ResourceVersion, read_version
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import read_head
from gateway.proxy.reading.read_response import DOCUMENT_HEADERS, respond_to_read
from gateway.proxy.request_context import RequestContext
from gateway.upstream.exchange_types import Response

# Servers name FHIR JSON in many ways; a type that could be one of them is not raw content.
_RAW_TYPE = re.compile(rb"(?!application/fhir)(?:(?!json)[^\s;,])+/(?:(?!json)[^\s;,])+\s*(;[^,]*)?")
# A common form of media type, with no parameter but charset, so that the header cannot carry anything else.
_MEDIA_TYPE = re.compile(rb"[a-z]{1,20}/[a-z0-9.+\-]{1,100}(;\s*charset=\"?[A-Za-z0-9\-]{1,20}\"?)?")
_NOT_ACCEPTABLE_STATUSES = frozenset({406, 415})


def is_raw_type(content_type: bytes) -> bool:
    """Whether a media type is that of raw content: it is clearly neither JSON nor FHIR."""
    return _RAW_TYPE.fullmatch(content_type.lower()) is not None


def is_plain_media_type(content_type: bytes) -> bool:
    """Whether a media type has a form that is passed on."""
    return _MEDIA_TYPE.fullmatch(content_type) is not None


def lacks_form(response: Response) -> bool:
    """Whether the FHIR server says that it has the Binary in no form that was asked for. It may have it as JSON."""
    return response.status in _NOT_ACCEPTABLE_STATUSES


async def check_acceptable(response: Response, accept: bytes) -> None:
    """Close the response and refuse with 406 if the client does not accept its media type.

    Only for a Binary that is permitted: 406 tells that it exists (RFC 9110 15.5.7, leak_30).
    """
    content_type = next((value for name, value in response.headers if name == b"content-type"), b"")
    if not (accepts_json(accept) if read_head(response).is_json else accepts(accept, content_type)):
        await response.aclose()
        raise _not_acceptable()


def respond_with_content(members: Members, context: RequestContext) -> FhirResponse:
    """The content of a permitted Binary that came as FHIR JSON, for a client that accepts its type and no JSON.

    Many servers never send raw content. Raises `RequestRefused`: with 406 if the client does not accept the type
    either, and as not found if this is not the requested Binary. Raises `MalformedResourceError`.
    """
    content_type, version = check_content_type(members, context), read_version(members)
    try:
        content = base64.b64decode("".join(_read_text(members, "data").split()), validate=True)
    except ValueError as error:
        raise MalformedResourceError("data that is not base64") from error
    return respond_to_read(content, version, context.interaction, ((b"content-type", content_type), *DOCUMENT_HEADERS))


def check_content_type(members: Members, context: RequestContext) -> bytes:
    """The media type of the content. Raises as `respond_with_content` does."""
    if not _is_requested(members, read_version(members), context.interaction):
        raise RequestRefused(Reason.UPSTREAM_MALFORMED, public_reason=Reason.NOT_FOUND)
    content_type = _read_text(members, "contentType").encode()
    if not (is_plain_media_type(content_type) and is_raw_type(content_type) and accepts(context.accept, content_type)):
        raise _not_acceptable()
    return content_type


def _is_requested(members: Members, version: ResourceVersion, interaction: Interaction) -> bool:
    if not isinstance(interaction, Read | VRead) or read_type_and_id(members) != ("Binary", interaction.id):
        return False
    return isinstance(interaction, Read) or version.may_be(interaction.version_id)


def _read_text(members: Members, name: str) -> str:
    value = decode_member(members[name]) if name in members else ""
    return value if isinstance(value, str) else ""


def _not_acceptable() -> RequestRefused:
    return RequestRefused(Reason.FORMAT_NOT_ACCEPTABLE, "Accept", hint="A Binary comes in its own media type as well.")
