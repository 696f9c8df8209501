"""The audit lines of the last decisions, in memory that the workers of one gateway share.

Each worker appends to a place of its own and begins anew at its end. Nobody waits for anybody: a line that is written
over while it is read is no JSON, or another line, and counts as gone.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from typing import Any

import orjson

_NEWLINE = b"\n"
# Where the last line of a place ends.
_HEAD = struct.Struct("=Q")
# How much of a place is read for a list of decisions: some hundred of them.
_LISTED_BYTES = 512 * 1024


class SharedDecisions:
    """Places in memory, made before the workers are forked. Pages that nobody writes to take no memory."""

    def __init__(self, places: int, size: int) -> None:
        """`size` is the number of bytes of each place."""
        self.places = tuple(mmap.mmap(-1, _HEAD.size + size) for _ in range(places))
        for place in self.places:
            _HEAD.pack_into(place, 0, _HEAD.size)


class RecentDecisions:
    """The last decisions of all workers. Those of this worker are added here."""

    def __init__(self, shared: SharedDecisions, place: int = 0) -> None:
        """A worker that takes the place of another goes on where that one ended."""
        self._shared = shared
        self._own = shared.places[place]

    def add(self, line: bytes) -> None:
        """Keep a line, which ends with a line feed. One that is longer than the place is left out."""
        own, size = self._own, len(line)
        end = _HEAD.unpack_from(own)[0]
        if _HEAD.size + size > len(own):
            return
        if end + size > len(own):
            # What is left of older lines at the end is no part of a new one.
            own[end:] = _NEWLINE * (len(own) - end)
            end = _HEAD.size
        own[end : end + size] = line
        end += size
        _HEAD.pack_into(own, 0, end)
        rest = own.find(_NEWLINE, end)
        if rest > end:
            # The older line that is now half written over.
            own[end:rest] = _NEWLINE * (rest - end)

    def find(self, decision_id: str) -> dict[str, Any] | None:
        """The fields of the line of a decision, if it is still there."""
        wanted = b'"decision_id":' + orjson.dumps(decision_id)
        for place in self._shared.places:
            at = place.find(wanted, _HEAD.size)
            if at >= 0:
                start, stop = place.rfind(_NEWLINE, _HEAD.size, at) + 1, place.find(_NEWLINE, at)
                fields = _read(place[start or _HEAD.size : stop if stop >= 0 else len(place)])
                if fields is not None and fields.get("decision_id") == decision_id:
                    return fields
        return None

    def latest(self, limit: int, fits: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The fields of the last lines that fit, the newest first: of the last 512 KiB of each worker."""
        found = [fields for place in self._shared.places for fields in _last_lines(place) if fits(fields)]
        found.sort(key=lambda fields: str(fields.get("time")), reverse=True)
        return found[:limit]


def _last_lines(place: mmap.mmap) -> Iterator[dict[str, Any]]:
    end = _HEAD.unpack_from(place)[0]
    newest = place[max(_HEAD.size, end - _LISTED_BYTES) : end]
    before = place[max(end, len(place) - (_LISTED_BYTES - len(newest))) :] if len(newest) < _LISTED_BYTES else b""
    for part in (before, newest):
        for line in part.split(_NEWLINE):
            if line.startswith(b"{") and (fields := _read(line)) is not None:
                yield fields


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
