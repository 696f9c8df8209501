"""Records as JSON and back. A record that cannot be decoded counts as absent: an old format never becomes a grant."""

from typing import Any, TypeVar

import msgspec

_Record = TypeVar("_Record")
_encoder = msgspec.json.Encoder()


def encode(record: Any) -> bytes:
    """The record as JSON."""
    return _encoder.encode(record)


def decode(data: bytes | None, record_type: type[_Record]) -> _Record | None:
    """The record; None if there is no data or it has another format."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=record_type)
    except msgspec.MsgspecError:
        return None
