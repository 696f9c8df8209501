"""Finds another patient's data in a response, in every encoding that it could have."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any


def find_marks(marks: Iterable[str], headers: Mapping[str, str], body: bytes, reason: str = "") -> list[str]:
    """Where one of the marks occurs: in the head, in the body, or in the decoded JSON."""
    head = "\n".join(f"{name}: {value}" for name, value in [("reason", reason), *headers.items()])
    decoded_texts = "".join(_iter_texts(_parse_json(body)))
    found = []
    for mark in marks:
        if mark in head:
            found.append(f"{mark} in the head")
        if any(encoding in body for encoding in _encodings(mark)):
            found.append(f"{mark} in the body")
        if mark in decoded_texts:
            found.append(f"{mark} in the JSON")
    return found


def _encodings(mark: str) -> list[bytes]:
    """The mark in UTF-8, in UTF-16, and in base64 at each of the three possible offsets."""
    encoded = [mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")]
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + mark.encode())
        encoded.append(text[(0, 2, 3)[offset] : len(text) // 4 * 4 - 4])
    return encoded


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _iter_texts(value: Any) -> Iterable[str]:
    """Every member name and string of a JSON value, each followed by a line feed."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            yield value + "\n"
