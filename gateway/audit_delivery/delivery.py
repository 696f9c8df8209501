"""Hands records on from the spool, each at least once: a record counts as handed on when its sink has confirmed it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit_delivery.sink import Sink, SinkUnavailable
from gateway.telemetry.audit_events.chain import read_recorded_at
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.spool import SpoolReader, SpoolTaken

_log = logging.getLogger(__name__)
# Seconds.
_COLLECT, _SYNC, _MIN_PAUSE, _MAX_PAUSE, _ABANDONED = 0.2, 1.0, 0.5, 30.0, 30.0
_LAST_TRY = 3.0
_BYTES_PER_LINE = 4096


@dataclass(slots=True)
class SinkState:
    """What the metrics say of one sink. `waiting_since` is when the oldest record that it has not got was made."""

    delivered: int = 0
    rejected: int = 0
    waiting_since: float | None = None
    is_failing: bool = False
    appended: asyncio.Event = field(default_factory=asyncio.Event)


class Delivery:
    """Hands on what one process keeps, and what processes that have ended left below `root`."""

    def __init__(self, log: AuditEventLog, root: Path, sinks: Sequence[Sink]) -> None:
        self._log = log
        self._root = root
        self._sinks = sinks
        self.states = {sink.name: SinkState() for sink in sinks}

    def notice(self) -> None:
        """There is something to hand on."""
        for state in self.states.values():
            state.appended.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hand on in the background; at the end what is left, unless the process is to end at once."""
        task, is_cut_off = asyncio.create_task(self._run()), False
        try:
            yield
        except asyncio.CancelledError:
            is_cut_off = True
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._finish(0 if is_cut_off else _LAST_TRY)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for sink in self._sinks:
                tasks.create_task(self._serve(sink))
            tasks.create_task(self._sync())
            tasks.create_task(self._adopt())

    async def _finish(self, seconds: float) -> None:
        """Hand on what is left, for some seconds at most. The rest waits for the next start."""
        with contextlib.suppress(TimeoutError, SinkUnavailable):
            async with asyncio.timeout(seconds):
                for sink in self._sinks:
                    while await self._hand_on(self._log.spool, sink):
                        pass
        for sink in self._sinks:
            await sink.aclose()
        self._log.spool.close()

    async def _serve(self, sink: Sink) -> None:
        state, pause = self.states[sink.name], _MIN_PAUSE
        while True:
            state.appended.clear()
            try:
                if not await self._hand_on(self._log.spool, sink):
                    await state.appended.wait()
                    # Records that come soon after each other are handed on together.
                    await asyncio.sleep(_COLLECT)
                pause = _MIN_PAUSE
            except SinkUnavailable as error:
                if not state.is_failing:
                    _log.error("audit events wait: a sink takes none", extra={"sink": sink.name, "problem": str(error)})
                state.is_failing = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, _MAX_PAUSE)

    async def _hand_on(self, spool: SpoolReader, sink: Sink) -> bool:
        """Hand on the next records of a spool. Returns whether there were any."""
        state = self.states[sink.name]
        lines, end = spool.read(sink.name, max_lines=sink.max_lines, max_bytes=sink.max_lines * _BYTES_PER_LINE)
        if not lines:
            state.waiting_since = None
            return False
        state.waiting_since = read_recorded_at(lines[0])
        rejected = await sink.write(lines)
        for line in rejected:
            spool.reject(line)
        spool.advance(sink.name, end)
        state.delivered += len(lines) - len(rejected)
        state.rejected += len(rejected)
        if rejected:
            _log.error("audit events were rejected", extra={"sink": sink.name, "count": len(rejected)})
        if state.is_failing:
            _log.info("audit events are handed on again", extra={"sink": sink.name})
        state.is_failing = False
        return True

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC)
            try:
                await asyncio.to_thread(self._log.spool.sync)
            except OSError as error:
                _log.error("audit events cannot be synced to the disk", extra={"problem": error.strerror})
            self._log.probe()

    async def _adopt(self) -> None:
        """Hand on what processes have left that do not run any more."""
        names = [sink.name for sink in self._sinks]
        while True:
            for folder in sorted(self._root.iterdir()):
                with contextlib.suppress(SpoolTaken, SinkUnavailable, OSError):
                    if (folder / "lock").exists():
                        await self._empty(SpoolReader(folder, names))
            await asyncio.sleep(_ABANDONED)

    async def _empty(self, spool: SpoolReader) -> None:
        try:
            for sink in self._sinks:
                while await self._hand_on(spool, sink):
                    pass
        finally:
            spool.close()
