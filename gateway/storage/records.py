"""Values as bytes and back. What cannot be read back is absent: an old format never becomes a grant."""

from typing import Any, TypeVar

import msgspec

_Record = TypeVar("_Record")
_encoder = msgspec.json.Encoder()


def encode(record: Any) -> bytes:
    """The record as JSON."""
    return _encoder.encode(record)


def decode(data: bytes | None, kind: type[_Record]) -> _Record | None:
    """The record, or None where there is none or the bytes are of another form."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError:
        return None
