"""Records requests without anything of a person: each shape once, with a count of the requests that had it."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from gateway.fhir.request import interaction as fhir
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.recording.record_request import Decided, record_request
from gateway.settings.model import Settings
from gateway.settings.serving.recording import Recording
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.request_recording.rotated_file import RotatedFile

_log = logging.getLogger(__name__)

_DELAY_SECONDS = 0.5
# The same request of the same token: fewer than there are shapes, because each keeps its query and its grant alive.
_MAX_KNOWN = 512
# Lines that wait for a disk. There is one for a new shape, and one whenever a count has doubled.
_MAX_WAITING = 10_000

_Identity = tuple[int, int, int, object, object, str]


@dataclass(slots=True)
class _Count:
    """How many requests had a shape, and how many of them are in the file."""

    seen: int = 0
    written: int = 0


class RequestRecorder:
    """Counts shapes and appends them to a file. Must be used from a single event loop.

    A shape is written when it comes first, whenever its count has doubled, when it is forgotten, and by `settle`:
    a process that is killed loses half of each count at most.
    """

    def __init__(
        self, file: RotatedFile, definitions: ParameterDefinitions, *, sample: float = 1.0, shapes: int = 2000
    ) -> None:
        """`definitions` are those by which requests are parsed; `sample` is the part of them that is recorded."""
        self._file = file
        self._definitions = definitions
        self._sample = sample
        self._max_shapes = shapes
        self._due = 0.0
        self._counts: OrderedDict[bytes, _Count] = OrderedDict()
        # The objects are kept beside the shape, so that no id is reused while the entry exists.
        self._known: dict[_Identity, tuple[object, object, object, bytes]] = {}
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._is_failing = False
        self.lost = 0
        """The number of requests and lines that could not be recorded."""

    def add(self, record: RequestRecord, version: str) -> None:
        """Count a request of an accepted token. `version` is that of the configuration which decided."""
        if record.access is None:
            return
        self._due += self._sample
        if self._due < 1.0:
            return
        self._due -= 1.0
        try:
            shape = self._find_shape(record, version)
        except Exception as error:
            # Whatever it is, the request has been answered and audited. No value of it is in the name.
            self._lose(1, type(error).__name__)
            return
        count = self._counts.get(shape)
        if count is None:
            count = self._counts[shape] = _Count()
            if len(self._counts) > self._max_shapes:
                self._write(*self._counts.popitem(last=False))
        else:
            self._counts.move_to_end(shape)
        count.seen += 1
        if count.seen >= 2 * count.written:
            self._write(shape, count)

    def settle(self) -> None:
        """Write all counts soon."""
        for shape, count in self._counts.items():
            self._write(shape, count)

    def write_out(self) -> None:
        """Write all counts now. May block."""
        self.settle()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._append(self._take_waiting())

    def _find_shape(self, record: RequestRecord, version: str) -> bytes:
        """The line of the request, without its count and its closing brace."""
        interaction, access, grant = record.interaction, record.access, record.grant
        reason = record.reason if record.decision is None else None
        identity = (id(interaction), id(access), id(grant), record.decision, reason, version)
        known = self._known.get(identity)
        if known is not None:
            return known[3]
        assert access is not None
        decided = Decided(record.method, interaction, access, grant, record.decision, reason)
        members = msgspec.json.encode(record_request(decided, self._definitions))[:-1]
        shape = members + b',"configuration":' + msgspec.json.encode(version)
        if isinstance(interaction, fhir.Operation | fhir.BatchOrTransaction | fhir.ExportKickoff):
            # A body would be kept with it.
            return shape
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[identity] = (interaction, access, grant, shape)
        return shape

    def _write(self, shape: bytes, count: _Count) -> None:
        """Add what has not been written of a count to the lines that wait."""
        if count.seen == count.written:
            return
        self._waiting.append(b'%b,"count":%d}\n' % (shape, count.seen - count.written))
        count.written = count.seen
        if len(self._waiting) > _MAX_WAITING:
            self.lost += len(self._waiting)
            self._waiting.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY_SECONDS, self._write_waiting)

    def _write_waiting(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(_DELAY_SECONDS, self._write_waiting)
            return
        self._writing = loop.run_in_executor(None, self._append, self._take_waiting())

    def _take_waiting(self) -> list[bytes]:
        lines, self._waiting = self._waiting, []
        return lines

    def _append(self, lines: list[bytes]) -> None:
        if not lines:
            return
        try:
            self._file.append(b"".join(lines))
            self._is_failing = False
        except OSError as error:
            self._lose(len(lines), error.strerror)

    def _lose(self, lines: int, problem: str | None) -> None:
        self.lost += lines
        if not self._is_failing:
            _log.error("requests cannot be recorded", extra={"problem": problem})
        self._is_failing = True


class Recordings:
    """The recorders of a process: one for each `recording` that some gateway in it has."""

    def __init__(self) -> None:
        self._recorders: list[tuple[Recording, ParameterDefinitions, RequestRecorder]] = []

    def take(self, settings: Settings) -> RequestRecorder | None:
        """The recorder that the settings describe, the same one as long as they stay so; None if there is none."""
        recording, definitions = settings.recording, ParameterDefinitions(settings.upstream.extra_search_parameters)
        if recording.file is None:
            return None
        for known, known_definitions, recorder in self._recorders:
            if known == recording and known_definitions == definitions:
                return recorder
        file = RotatedFile(recording.file, recording.max_bytes)
        recorder = RequestRecorder(file, definitions, sample=recording.sample, shapes=recording.shapes)
        self._recorders.append((recording, definitions, recorder))
        return recorder

    def settle(self, current: Settings) -> None:
        """Write soon what was recorded by a gateway that was replaced, if the recording has changed with it."""
        kept = self.take(current)
        for entry in tuple(self._recorders):
            if entry[2] is not kept:
                entry[2].settle()
                self._recorders.remove(entry)

    def write_out(self) -> None:
        """Write out all counts, at the end of the process."""
        for _, _, recorder in self._recorders:
            recorder.write_out()
