"""An entry of a Bundle as the request that it stands for."""

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.types import Message
from gateway.fhir.request.bundle_entry import may_be_entry, names_entry, read_entry_body, read_target
from gateway.fhir.request.interaction import BundleRequest
from gateway.fhir.request.parse_request import is_write
from gateway.fhir.request_error import RequestError
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FHIR_JSON
from gateway.proxy.incoming_request import IncomingRequest, refuse_request


def list_urns(entries: tuple[BundleRequest, ...]) -> frozenset[str]:
    """The names that entries give to their resources, in lower case."""
    return frozenset(entry.full_url.lower() for entry in entries if entry.full_url[:4].lower() == "urn:")


def build_entry_request(
    entry: BundleRequest, bundle_request: IncomingRequest, public_base: str, urns: frozenset[str]
) -> IncomingRequest:
    """The request of an entry of a batch. What the client prefers for the answers of writes, it said of the whole.

    No entry may refer to another one by its name, since each is carried out by itself (R4 http.html 3.1.0.11.2).
    Raises `RequestRefused`.
    """
    try:
        target = read_target(entry, public_base)
        if not may_be_entry(entry.method, target):
            raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED, "request.url")
        if urns and names_entry(entry.resource, urns):
            hint = "An entry of a batch cannot refer to another one; a transaction's can."
            raise RequestRefused(Reason.REFERENCE_REFUSED, "urn", hint=hint)
        content_type, body = read_entry_body(entry)
    except RequestError as error:
        raise refuse_request(error) from error
    headers = {b"accept": FHIR_JSON, **entry.headers}
    if content_type:
        headers[b"content-type"] = content_type
    if is_write(entry.method, target.path):
        # Without a resource it is the body that is missing, not its type.
        headers.setdefault(b"content-type", FHIR_JSON)
        if b"prefer" in bundle_request.headers:
            headers[b"prefer"] = bundle_request.headers[b"prefer"]

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return IncomingRequest(entry.method, target.path, target.query, headers, receive, bundle_request.trace.for_entry())
