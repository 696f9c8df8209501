"""Conditional reads, evaluated after the check: a 304 must not prove that a resource exists (leak_27)."""

from email.utils import parsedate_to_datetime

from gateway.asgi.types import Header
from gateway.fhir.request.interaction import ConditionalHeaders


def is_not_modified(conditional_headers: ConditionalHeaders, validators: tuple[Header, ...]) -> bool:
    """Whether the client already has the current representation (RFC 9110 13.1.2, 13.1.3, 13.2.2)."""
    current = dict(validators)
    if conditional_headers.if_none_match is not None:
        etag = current.get(b"etag", b"").decode("ascii")
        return bool(etag) and _matches_etag(conditional_headers.if_none_match, etag)
    if conditional_headers.if_modified_since is not None and b"last-modified" in current:
        last_modified = current[b"last-modified"].decode("ascii")
        return _is_not_later(last_modified, conditional_headers.if_modified_since)
    return False


def _matches_etag(if_none_match: str, etag: str) -> bool:
    """Weak comparison: `W/` is ignored (RFC 9110 8.8.3.2)."""
    if if_none_match.strip() == "*":
        return True
    etags = {text.strip().removeprefix("W/") for text in if_none_match.split(",")}
    return etag.removeprefix("W/") in etags


def _is_not_later(last_modified: str, since: str) -> bool:
    try:
        return parsedate_to_datetime(last_modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False
