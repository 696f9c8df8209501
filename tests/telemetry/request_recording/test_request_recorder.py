"""The recorder counts the shapes of requests in bounded memory, and its file is bounded, too."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import Read
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.model import Settings
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.request_recording.request_recorder import Recordings, RequestRecorder
from gateway.telemetry.request_recording.rotated_file import RotatedFile
from tests.policy.grants import PUBLIC, UPSTREAM
from tests.telemetry.request_records import access, request_record

RULES = Rules(PUBLIC, UPSTREAM)
NO_EXTRAS = ParameterDefinitions()


def read_of(patient: str, resource_type: str = "Observation", client_id: str = "growth-chart") -> RequestRecord:
    """A read of a record by a token for this patient."""
    scopes = parse_scopes("patient/*.rs").scopes
    caller = access(
        scopes=scopes, patient=patient, client_id=client_id, user=Reference("Practitioner", f"of-{patient}")
    )
    return request_record(
        access=caller,
        grant=Grant(caller, RULES),
        interaction=Read(resource_type, f"{patient}-1"),
        decision=Reason.PERMITTED,
    )


def recorder_of(path: Path, max_bytes: int = 1_000_000, **options: Any) -> RequestRecorder:
    return RequestRecorder(RotatedFile(path, max_bytes), NO_EXTRAS, **options)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def counts_of(path: Path) -> dict[str, int]:
    """The requests by the path of their shape."""
    counts: dict[str, int] = {}
    for line in lines_of(path) if path.exists() else ():
        counts[line["path"]] = counts.get(line["path"], 0) + line.get("count", 1)
    return counts


async def until_counted(path: Path, expected: dict[str, int]) -> None:
    """Wait until the file, which another thread writes, has these counts."""
    async with asyncio.timeout(60):
        while counts_of(path) != expected:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def test_requests_of_many_patients_are_one_shape_in_a_few_lines(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file)
    for number in range(1000):
        recorder.add(read_of(f"p{number}"), "v1")
    recorder.write_out()
    assert counts_of(file) == {"/Observation/id-3": 1000}
    # 1, 2, 4, 8 ... 512, and what remained.
    assert len(lines_of(file)) == 11
    assert {line["configuration"] for line in lines_of(file)} == {"v1"}


async def test_lines_are_written_soon_without_being_asked(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file)
    recorder.add(read_of("a"), "v1")
    await until_counted(file, {"/Observation/id-3": 1})


async def test_a_shape_that_is_forgotten_keeps_its_count(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file, shapes=2)
    types = ("Observation", "Condition", "Encounter", "Procedure")
    for _ in range(7):
        for resource_type in types:
            recorder.add(read_of("a", resource_type), "v1")
    recorder.write_out()
    assert counts_of(file) == {f"/{resource_type}/id-3": 7 for resource_type in types}


async def test_equal_requests_of_two_clients_are_two_shapes(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file)
    for client_id in ("one", "two", "one"):
        recorder.add(read_of("a", client_id=client_id), "v1")
    recorder.write_out()
    assert sorted(line["client_id"] for line in lines_of(file)) == ["one", "one", "two"]


async def test_a_sample_is_the_given_part_of_the_requests(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file, sample=0.25)
    for _ in range(100):
        recorder.add(read_of("a"), "v1")
    recorder.write_out()
    assert counts_of(file) == {"/Observation/id-3": 25}


async def test_the_file_is_moved_aside_when_it_is_too_long(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file, max_bytes=2000)
    for number in range(40):
        recorder.add(read_of("a", client_id=f"client-{number}"), "v1")
        recorder.write_out()
    kept = file.with_name("requests.jsonl.1")
    assert file.stat().st_size <= 2000
    assert 0 < kept.stat().st_size <= 2000
    last = [line["client_id"] for line in (*lines_of(kept), *lines_of(file))]
    assert last == [f"client-{number}" for number in range(40 - len(last), 40)]
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.with_name("requests.jsonl.2").exists()


async def test_a_line_that_was_torn_by_a_kill_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_bytes(b'{"interaction":"read","me')
    recorder = recorder_of(file)
    recorder.add(read_of("a"), "v1")
    recorder.write_out()
    assert counts_of(file) == {"/Observation/id-3": 1}


async def test_a_file_that_cannot_be_written_loses_lines_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    recorder = recorder_of(folder / "requests.jsonl")
    folder.rmdir()
    with caplog.at_level(logging.ERROR):
        for resource_type in ("Observation", "Condition"):
            recorder.add(read_of("a", resource_type), "v1")
            recorder.write_out()
    assert (recorder.lost, [entry.message for entry in caplog.records]) == (2, ["requests cannot be recorded"])


async def test_a_request_that_cannot_be_recorded_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = recorder_of(tmp_path / "requests.jsonl")
    unheard_of: Any = object()
    record = request_record(access=access(scopes=unheard_of), decision=Reason.PERMITTED)
    with caplog.at_level(logging.ERROR):
        recorder.add(record, "v1")
        recorder.add(record, "v1")
    assert (recorder.lost, [entry.message for entry in caplog.records]) == (2, ["requests cannot be recorded"])


async def test_a_request_without_an_accepted_token_is_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file)
    recorder.add(request_record(access=None, interaction=None), "v1")
    recorder.write_out()
    assert not file.exists()


async def test_a_request_that_could_not_be_read_is_recorded_by_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    recorder = recorder_of(file)
    recorder.add(request_record(interaction=None, reason=Reason.PARAMETER_UNKNOWN, method="TRACE"), "v1")
    recorder.write_out()
    [line] = lines_of(file)
    assert (line["interaction"], line["method"], line["reason"]) == ("none", "other", "parameter_unknown")
    assert "path" not in line


def settings_with(**recording: Any) -> Settings:
    issuer = {"issuer": "https://login.example.org", "audiences": ["a"], "jwks_url": "https://login.example.org/jwks"}
    return Settings.model_validate(
        {
            "public_base_url": "https://fhir.example.org/r4",
            "upstream": {"base_url": "http://fhir.internal:8080/fhir"},
            "issuers": [issuer],
            "recording": recording,
        }
    )


async def test_a_reload_keeps_the_recorder_while_its_settings_stay(tmp_path: Path) -> None:
    recordings, file = Recordings(), str(tmp_path / "requests.jsonl")
    first = recordings.take(settings_with(file=file))
    assert first is recordings.take(settings_with(file=file))
    changed = settings_with(file=file, sample=0.5)
    assert recordings.take(changed) is not first
    assert first is not None
    first.add(read_of("a"), "v1")
    first.add(read_of("a"), "v1")
    first.add(read_of("a"), "v1")
    recordings.settle(changed)
    await until_counted(tmp_path / "requests.jsonl", {"/Observation/id-3": 3})


def test_nothing_is_recorded_without_a_file() -> None:
    assert Recordings().take(settings_with()) is None
