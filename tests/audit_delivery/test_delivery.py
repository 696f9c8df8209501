"""Events are handed on from the spool: those of this process, and those that processes have left that ended."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.audit_delivery.delivery import Delivery
from gateway.audit_delivery.event_file import EventFile
from gateway.audit_delivery.sink import SinkUnavailable
from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.audit_events.spool import open_free_spool
from tests.commands.serving_process import until
from tests.telemetry.request_records import AT, request_record

LIMIT = 1024 * 1024


class Picky:
    """A sink that never accepts every second record, once it accepts any."""

    name = "server"
    max_lines = 2

    def __init__(self) -> None:
        self.is_away = True

    async def write(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        if self.is_away:
            raise SinkUnavailable("away")
        return lines[1:]

    async def aclose(self) -> None:
        return None


def open_log(root: Path, sinks: Sequence[str] = ("file",)) -> AuditEventLog:
    form = EventForm(Naming("https://fhir.example.org/r4"))
    spool = open_free_spool(root, sinks, None, LIMIT)
    return AuditEventLog(spool, form, "https://fhir.example.org/auth", refuses_when_full=True)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


async def test_what_another_process_has_left_is_handed_on_as_well(tmp_path: Path) -> None:
    root, file = tmp_path / "spool", tmp_path / "events"
    first, second = open_log(root), open_log(root)
    for log in (first, second):
        assert log.add_request(request_record(), Answer())
    second.spool.close()
    async with Delivery(first, root, [EventFile(file)]).running():
        await until(lambda: lines_in(file) == 2)


async def test_a_file_may_be_moved_away_at_any_time(tmp_path: Path) -> None:
    root, file, moved = tmp_path / "spool", tmp_path / "events", tmp_path / "events.1"
    log = open_log(root)
    delivery = Delivery(log, root, [EventFile(file)])
    log.on_append = delivery.notice
    async with delivery.running():
        assert log.add_request(request_record(), Answer())
        await until(lambda: lines_in(file) == 1)
        file.rename(moved)
        assert log.add_request(request_record(), Answer())
        await until(lambda: lines_in(file) == 1)
    assert lines_in(moved) == 1


async def test_a_torn_line_in_the_file_is_removed_before_the_next(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(b'{"whole":1}\n{"torn')
    await EventFile(file).write([b'{"next":1}'])
    assert file.read_bytes() == b'{"whole":1}\n{"next":1}\n'


async def test_what_is_kept_at_the_end_is_handed_on_before_the_process_ends(tmp_path: Path) -> None:
    root, file = tmp_path / "spool", tmp_path / "events"
    log = open_log(root)
    async with Delivery(log, root, [EventFile(file)]).running():
        for _ in range(5):
            assert log.add_request(request_record(), Answer())
    assert lines_in(file) == 5


async def test_a_file_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SinkUnavailable, match="No such file"):
        await EventFile(tmp_path / "missing" / "events").write([b"{}"])


async def test_the_state_of_a_sink_says_since_when_it_is_behind_and_what_it_never_accepts(tmp_path: Path) -> None:
    root, sink = tmp_path / "spool", Picky()
    log = open_log(root, ["server"])
    for _ in range(4):
        assert log.add_request(request_record(), Answer())
    delivery = Delivery(log, root, [sink])
    state = delivery.states["server"]
    async with delivery.running():
        await until(lambda: state.is_failing)
        assert state.waiting_since == pytest.approx(AT, abs=0.01)
        sink.is_away = False
        await until(lambda: state.waiting_since is None)
    assert (state.delivered, state.rejected) == (2, 2)
    assert lines_in(root / "0" / "rejected.ndjson") == 2
