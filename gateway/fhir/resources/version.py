"""The version that a resource states of itself: `meta.versionId` and `meta.lastUpdated` (R4 resource.html 2.26.3.2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from gateway.fhir.resources.resource import MalformedResourceError, decode_member, read_type_and_id

_VERSION_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# In bytes. A longer `meta` is read each time, so that the cache stays small.
_MAX_CACHED = 512


class ResourceVersion(msgspec.Struct, frozen=True, gc=False):
    """What a resource says of its version. A value is None where it is absent or not well formed.

    `states_version` is false only where there is no `versionId` at all.
    """

    version_id: str | None = None
    last_updated: str | None = None
    states_version: bool = False

    def may_be(self, version_id: str) -> bool:
        """Whether this can be that version. A resource that states no version contradicts none."""
        return self.version_id == version_id or not self.states_version

    @property
    def etag(self) -> str | None:
        """The weak entity tag of this version (R4 http.html 3.1.0.2)."""
        return None if self.version_id is None else f'W/"{self.version_id}"'

    @property
    def http_date(self) -> str | None:
        """`last_updated` as an HTTP date (RFC 9110 5.6.7), without fractions of a second."""
        return None if self.last_updated is None else _format_http_date(self.last_updated)


class _Identity(msgspec.Struct, gc=False):
    """The members of a resource that say which one it is."""

    resourceType: msgspec.Raw = msgspec.Raw()  # noqa: N815 - FHIR's own name
    id: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()


_IDENTITY_DECODER = msgspec.json.Decoder(_Identity)
_UNSTATED = ResourceVersion()
_UNREADABLE = ResourceVersion(states_version=True)


def read_version(members: Mapping[str, msgspec.Raw]) -> ResourceVersion:
    """The version that the opened resource states."""
    raw = members.get("meta")
    if raw is None:
        return _UNSTATED
    meta = bytes(raw)
    return _read_cached(meta) if len(meta) <= _MAX_CACHED else _read_meta(meta)


def read_version_of_body(body: bytes, resource_type: str, resource_id: str) -> ResourceVersion:
    """The version that an unopened body states. It states none if it is not the resource of this type and id."""
    try:
        identity = _IDENTITY_DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _UNSTATED
    members = {"resourceType": identity.resourceType, "id": identity.id}
    if not identity.meta or read_type_and_id(members) != (resource_type, resource_id):
        return _UNSTATED
    return read_version({"meta": identity.meta})


def _read_meta(text: bytes) -> ResourceVersion:
    try:
        meta = decode_member(msgspec.Raw(text))
    except MalformedResourceError:
        # A version that is stated twice has no meaning.
        return _UNREADABLE
    if not isinstance(meta, dict):
        return _UNREADABLE
    return ResourceVersion(
        _match_or_none(_VERSION_ID, meta.get("versionId")),
        _match_or_none(_INSTANT, meta.get("lastUpdated")),
        "versionId" in meta,
    )


# The resources that apps read repeatedly state the same version each time.
_read_cached = lru_cache(1024)(_read_meta)


def _match_or_none(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _format_http_date(instant: str) -> str | None:
    try:
        time = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return (
        f"{_WEEKDAYS[time.weekday()]}, {time.day:02} {_MONTHS[time.month - 1]} {time.year:04} "
        f"{time.hour:02}:{time.minute:02}:{time.second:02} GMT"
    )
