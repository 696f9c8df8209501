"""The spool on disk: what a killed process leaves, what was handed on, what is full or cannot be written."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.policy.reasons import Reason
from gateway.telemetry.audit_events.chain import read_link
from gateway.telemetry.audit_events.entities import EventForm
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.naming import Naming
from gateway.telemetry.audit_events.request_events import Answer
from gateway.telemetry.audit_events.spool import Spool, SpoolReader, SpoolTaken, open_free_spool
from gateway.telemetry.audit_events.verify_chains import Line, verify_chains
from gateway.telemetry.server_event import EventKind, ServerEvent
from tests.telemetry.audit_events.sample_events import by_user
from tests.telemetry.audit_events.test_verify_chains import event
from tests.telemetry.request_records import AT, request_record

LIMIT = 1024 * 1024


def append(spool: Spool, count: int = 1) -> None:
    for number in range(count):
        spool.append([event(number)], 0)


def take_all(spool: SpoolReader, sink: str = "file", *, at_once: int = 100) -> list[bytes]:
    taken: list[bytes] = []
    while True:
        lines, end = spool.read(sink, max_lines=at_once, max_bytes=4096)
        if not lines:
            return taken
        taken += lines
        spool.advance(sink, end)


def is_whole(lines: list[bytes], chains: int = 1) -> bool:
    found, broken = verify_chains((Line("f", number, line) for number, line in enumerate(lines)), ())
    return (len(found), broken) == (chains, None)


def test_records_are_read_once_and_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = Spool(tmp_path, ["file"], None, LIMIT)
    append(first, 5)
    lines = take_all(first, at_once=2)
    append(first, 2)
    first.close()
    second = Spool(tmp_path, ["file"], None, LIMIT)
    assert second.waiting_bytes > 0
    append(second)
    lines += take_all(second)
    assert len(lines) == 8
    assert is_whole(lines)
    assert second.waiting_bytes == 0


@pytest.mark.parametrize("torn", [b'{"resourceType":"AuditEvent","id":"0', b"\0" * 5000])
def test_a_torn_record_is_removed_and_the_chain_goes_on(tmp_path: Path, torn: bytes) -> None:
    spool = Spool(tmp_path, ["file"], None, LIMIT)
    append(spool, 3)
    spool.close()
    [file] = tmp_path.glob("*.ndjson")
    file.write_bytes(file.read_bytes() + torn)
    spool = Spool(tmp_path, ["file"], None, LIMIT)
    append(spool)
    lines = take_all(spool)
    assert len(lines) == 4
    assert is_whole(lines)


def test_files_that_every_sink_has_are_deleted_and_the_chain_outlives_them(tmp_path: Path) -> None:
    # A quarter of the limit is a file, so that each record has its own.
    spool = Spool(tmp_path, ["file", "server"], None, 40)
    append(spool, 4)
    assert len(list(tmp_path.glob("*.ndjson"))) == 4
    lines = take_all(spool, "file")
    assert len(list(tmp_path.glob("*.ndjson"))) == 4
    assert take_all(spool, "server") == lines
    assert len(list(tmp_path.glob("*.ndjson"))) == 1
    spool.close()
    spool = Spool(tmp_path, ["file", "server"], None, 40)
    append(spool)
    assert is_whole([*lines, *take_all(spool)])


def test_another_key_begins_another_chain(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ["file"], None, LIMIT)
    append(spool)
    spool.close()
    spool = Spool(tmp_path, ["file"], b"a key", LIMIT)
    append(spool)
    links = [read_link(line) for line in take_all(spool)]
    assert [link is not None and link.sequence for link in links] == [1, 1]


def test_each_process_has_a_spool_of_its_own(tmp_path: Path) -> None:
    first, second = (open_free_spool(tmp_path, ["file"], None, LIMIT) for _ in range(2))
    append(first)
    append(second)
    with pytest.raises(SpoolTaken):
        SpoolReader(tmp_path / "1", ["file"])
    second.close()
    left = SpoolReader(tmp_path / "1", ["file"])
    assert len(take_all(left)) == 1
    left.close()


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk that is full, as far as this process is concerned."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def open_log(folder: Path, *, refuses: bool, limit: int = LIMIT) -> AuditEventLog:
    form = EventForm(Naming("https://fhir.example.org/r4"))
    spool = Spool(folder, ["file"], None, limit)
    return AuditEventLog(spool, form, "https://fhir.example.org/auth", refuses_when_full=refuses)


def is_refusing(log: AuditEventLog) -> bool:
    return log.refuses_requests


def test_what_a_full_disk_takes_in_part_is_removed_again_and_counted(tmp_path: Path) -> None:
    log = open_log(tmp_path, refuses=True)
    assert log.add_request(request_record(), Answer())
    with no_file_larger_than(log.spool.waiting_bytes + 100):
        assert not log.add_request(request_record(), Answer())
        assert is_refusing(log)
        log.probe()
        assert is_refusing(log)
    log.probe()
    assert not is_refusing(log)
    assert log.add_request(request_record(), Answer())
    lines = take_all(log.spool)
    assert (len(lines), log.kept, log.lost) == (2, 2, 1)
    assert is_whole(lines)
    assert b'{"type":"lost_before","valueString":"1"}' in lines[1]


def test_a_full_spool_refuses_requests_or_counts_what_it_drops(tmp_path: Path) -> None:
    refusing, dropping = (open_log(tmp_path / str(refuses), refuses=refuses, limit=1) for refuses in (True, False))
    for log in (refusing, dropping):
        assert log.add_request(request_record(), Answer())
    assert (refusing.refuses_requests, dropping.refuses_requests) == (True, False)
    # A request that was under way already is kept.
    assert refusing.add_request(request_record(), Answer())
    assert dropping.add_request(request_record(), Answer())
    dropping.add_event(ServerEvent(kind=EventKind.SIGNED_IN, at=AT))
    assert (refusing.kept, refusing.lost, dropping.kept, dropping.lost) == (2, 0, 1, 2)


def test_requests_without_a_token_fill_half_of_the_spool_at_most(tmp_path: Path) -> None:
    log = open_log(tmp_path, refuses=True, limit=20_000)
    nobody = request_record(access=None, status=401, reason=Reason.TOKEN_MISSING)
    for _ in range(100):
        assert log.add_request(nobody, Answer())
        log.add_event(ServerEvent(kind=EventKind.SIGN_IN_FAILED, at=AT, typed_user="somebody"))
    assert log.lost > 0
    assert not log.refuses_requests


def test_preflights_are_not_recorded(tmp_path: Path) -> None:
    log = open_log(tmp_path, refuses=True)
    assert log.add_request(request_record(method="OPTIONS", access=None), Answer())
    assert log.kept == 0


def test_the_events_of_one_request_are_kept_together(tmp_path: Path) -> None:
    log = open_log(tmp_path, refuses=True)
    body = b'[{"reference":"Patient/B"},{"reference":"Patient/C"}]'
    assert log.add_request(request_record(access=by_user()), Answer(body))
    assert len(take_all(log.spool)) == 2
