"""The response to a read: validators from the body itself, and conditional reads that are evaluated after the check."""

from functools import lru_cache

from gateway.asgi.response import FHIR_HEADERS, FhirResponse
from gateway.asgi.types import Header
from gateway.fhir.request.interaction import ConditionalHeaders, Interaction, Read
from gateway.fhir.resources.version import ResourceVersion
from gateway.policy.reasons import Reason
from gateway.proxy.reading.conditional_read import is_not_modified

# The content of a Binary was written by somebody else: a browser must not run it as a page of this origin.
SANDBOX: Header = (b"content-security-policy", b"sandbox; default-src 'none'")
DOCUMENT_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    SANDBOX,
)
_UNCONDITIONAL = ConditionalHeaders()


def respond_to_read(
    body: bytes, version: ResourceVersion, interaction: Interaction, headers: tuple[Header, ...] = FHIR_HEADERS
) -> FhirResponse:
    """The body of a permitted read with the validators of the version that it states; 304 if the client has it."""
    validators = build_validators(version)
    unmodified = not_modified(validators, interaction)
    if unmodified is not None:
        return unmodified
    response = FhirResponse(200, Reason.PERMITTED, body, [*headers, *validators])
    response.kept = 1
    return response


def not_modified(validators: tuple[Header, ...], interaction: Interaction) -> FhirResponse | None:
    """The 304 for a client that has what these validators stand for; else None."""
    if not isinstance(interaction, Read) or interaction.conditional_headers == _UNCONDITIONAL:
        return None
    if is_not_modified(interaction.conditional_headers, validators):
        return FhirResponse(304, Reason.PERMITTED, b"", list(validators))
    return None


@lru_cache(1024)
def build_validators(version: ResourceVersion) -> tuple[Header, ...]:
    """`ETag` and `Last-Modified` of a version (R4 http.html 3.1.0.2), as far as it states them."""
    validators: list[Header] = []
    if version.etag is not None:
        validators.append((b"etag", version.etag.encode("ascii")))
    if version.http_date is not None:
        validators.append((b"last-modified", version.http_date.encode("ascii")))
    return tuple(validators)
