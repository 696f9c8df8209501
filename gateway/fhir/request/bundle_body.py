"""The body of a batch or transaction: a Bundle whose entries are requests (R4 http.html 3.1.0.11)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from gateway.fhir.request.content import decode_body
from gateway.fhir.request.interaction import BatchOrTransaction, BundleKind, BundleRequest
from gateway.fhir.request.media_types import is_json_content_type
from gateway.fhir.request_error import RequestError, RequestProblem

_KINDS = {kind.value: kind for kind in BundleKind}
# The members of `Bundle.entry.request` beside method and url, and the headers that say the same.
_TEXT_CONDITIONS = {"ifMatch": b"if-match", "ifNoneMatch": b"if-none-match", "ifNoneExist": b"if-none-exist"}


def parse_bundle(body: bytes, headers: Mapping[bytes, bytes]) -> BatchOrTransaction:
    """The requests of a Bundle. Its type is never guessed: servers take a missing one for a transaction (hapi.md B7).

    Raises `RequestError`, with the place of the entry that is no request.
    """
    if not is_json_content_type(headers.get(b"content-type", b"")):
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "Send application/fhir+json.")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestError(RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send it without encoding.")
    tree = decode_body(body)
    if not isinstance(tree, dict) or tree.get("resourceType") != "Bundle":
        raise RequestError(RequestProblem.BUNDLE_MALFORMED, "Bundle")
    kind = tree.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise RequestError(RequestProblem.BUNDLE_MALFORMED, "Bundle.type", "It is batch or transaction.")
    entries = tree.get("entry", [])
    if not isinstance(entries, list):
        raise RequestError(RequestProblem.BUNDLE_MALFORMED, "Bundle.entry")
    return BatchOrTransaction(_KINDS[kind], tuple(_read_entry(entry, index) for index, entry in enumerate(entries)))


def locate_entry(index: int) -> str:
    """The FHIRPath of an entry."""
    return f"Bundle.entry[{index}]"


def _read_entry(entry: Any, index: int) -> BundleRequest:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise _malformed("request", index)
    resource = entry.get("resource")
    if not isinstance(resource, dict | None):
        raise _malformed("resource", index)
    return BundleRequest(
        _read_text(request.get("method"), "request.method", index),
        _read_text(request.get("url"), "request.url", index),
        _read_conditions(request, index),
        resource,
        _read_text(entry.get("fullUrl", ""), "fullUrl", index),
    )


def _read_text(value: Any, member: str, index: int) -> str:
    if not isinstance(value, str):
        raise _malformed(member, index)
    return value


def _read_conditions(request: Mapping[str, Any], index: int) -> dict[bytes, bytes]:
    headers = {}
    for name, header in _TEXT_CONDITIONS.items():
        value = request.get(name)
        if value is None:
            continue
        headers[header] = _read_text(value, f"request.{name}", index).encode("utf-8", "replace")
    since = request.get("ifModifiedSince")
    if since is not None:
        headers[b"if-modified-since"] = _to_http_date(since, index)
    return headers


def _to_http_date(instant: Any, index: int) -> bytes:
    """A FHIR instant as the date of a header (RFC 9110 5.6.7), which has whole seconds."""
    try:
        moment = datetime.fromisoformat(instant)
        if moment.tzinfo is None:
            raise _malformed("request.ifModifiedSince", index)
        return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True).encode("ascii")
    except (TypeError, ValueError, OverflowError) as error:
        raise _malformed("request.ifModifiedSince", index) from error


def _malformed(member: str, index: int) -> RequestError:
    return RequestError(
        RequestProblem.BUNDLE_MALFORMED, f"{locate_entry(index)}.{member}", location=locate_entry(index)
    )
