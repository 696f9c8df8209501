"""Conditional reads, answered here and only after the check: a 304 must not prove that a resource exists (leak_27)."""

from email.utils import parsedate_to_datetime

from gateway.fhir.interaction import Conditions
from gateway.web.answer import Header


def unchanged(conditions: Conditions, validators: tuple[Header, ...]) -> bool:
    """Whether the client already holds what would be sent (RFC 9110 13.1.2, 13.1.3, 13.2.2)."""
    known = dict(validators)
    if conditions.if_none_match is not None:
        etag = known.get(b"etag", b"").decode("ascii")
        return bool(etag) and _names(conditions.if_none_match, etag)
    if conditions.if_modified_since is not None and b"last-modified" in known:
        return _not_after(known[b"last-modified"].decode("ascii"), conditions.if_modified_since)
    return False


def _names(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110 8.8.3.2): `W/` does not count."""
    if if_none_match.strip() == "*":
        return True
    offered = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return etag.removeprefix("W/") in offered


def _not_after(last_modified: str, since: str) -> bool:
    try:
        return parsedate_to_datetime(last_modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False
