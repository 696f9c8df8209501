"""The audit log: one complete line per decision, in order, and without anything that it must not reveal."""

import hashlib
import hmac
import io
import os
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.credentials.token_refused import TokenClaims
from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import Operation, OperationLevel, Read
from gateway.fhir.request.parse_request import parse_request
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.model import Audit
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.line_writer import LineWriter
from gateway.telemetry.server_event import EventKind, ServerEvent
from tests.telemetry.log_lines import log_lines
from tests.telemetry.request_records import access, request_record

FIELDS = {
    "time": "2026-01-01T00:00:00.250000Z",
    "decision_id": "5f0c-1",
    "request_id": "req-1",
    "client_id": "growth-chart",
    "issuer": "https://login.example.org",
    "subject": "sub-1",
    "user": "Practitioner/17",
    "patient": "A",
    "scope": "",
    "remote_address": "192.0.2.7",
    "method": "GET",
    "interaction": "search-type",
    "resource_type": "Observation",
    "parameters": [],
    "status": 200,
    "reason": "permitted",
    "kept": 3,
    "dropped": {"Condition": 2},
    "narrowing_misses": {"Condition": 1},
    "duration_ms": 4.0,
    "upstream_ms": 3.0,
}


def _log(path: Path, **settings: Any) -> AuditLog:
    return AuditLog.from_settings(Audit(destination=str(path), **settings))


def _line(log: AuditLog, **changes: Any) -> dict[str, Any]:
    text = log.encode_request(request_record(**changes))
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    read = orjson.loads(text)
    assert isinstance(read, dict)
    return read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def log(path: Path) -> AuditLog:
    return _log(path)


def test_a_line_tells_who_asked_what_and_what_became_of_it(log: AuditLog) -> None:
    assert _line(log) == FIELDS


def test_every_line_has_the_same_members(log: AuditLog) -> None:
    bare = _line(log, interaction=None, upstream_seconds=None, dropped={}, access=None)
    assert list(bare) == list(FIELDS)
    assert (bare["interaction"], bare["resource_type"], bare["upstream_ms"], bare["dropped"]) == (
        "none",
        None,
        None,
        {},
    )


def test_a_line_names_scopes_and_parameters_but_no_value_that_may_identify_a_person(log: AuditLog) -> None:
    scopes = parse_scopes(
        "openid patient/Observation.rs?category=laboratory patient/Patient.rs?identifier=secret user/*.r?_id=secret"
    ).scopes
    search = parse_request("GET", b"/Observation", b"code=secret&subject:Patient.name=secret&_count=5&code=x", {}, b"")
    line = _line(log, access=access(scopes=scopes), interaction=search)
    assert line["scope"] == (
        "openid patient/Observation.rs?category=laboratory patient/Patient.rs?identifier=* user/*.r?_id=*"
    )
    assert line["parameters"] == ["code", "subject:Patient.name", "_count"]
    assert "secret" not in str(line)


def test_a_line_stays_short_whatever_the_scopes_of_the_token(log: AuditLog) -> None:
    scopes = parse_scopes(" ".join(f"patient/Observation.rs?category=c{number}" for number in range(900))).scopes
    scope = _line(log, access=access(scopes=scopes))["scope"]
    assert len(scope) <= 4100
    assert scope.endswith("category=c112 ...")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_stands_in_its_line_by_its_own_word(log: AuditLog, reason: Reason) -> None:
    assert _line(log, reason=reason)["reason"] == reason.value


def test_ids_and_parameters_of_a_request_are_not_in_its_line(log: AuditLog) -> None:
    told = [
        log.encode_request(request_record(interaction=Read("Observation", "secret-id"))),
        log.encode_request(
            request_record(
                interaction=Operation(
                    OperationLevel.INSTANCE, "everything", "Patient", "secret-id", (("name", "secret-value"),)
                )
            )
        ),
        log.encode_request(request_record(dropped={"secret-type": 1})),
    ]
    assert not any(b"secret" in line for line in told)


def test_an_operation_is_named(log: AuditLog) -> None:
    line = _line(log, interaction=Operation(OperationLevel.INSTANCE, "everything", "Patient", "A"))
    assert (line["interaction"], line["resource_type"], line["operation"]) == ("operation", "Patient", "$everything")
    assert "operation" not in _line(log)


def test_the_patient_can_be_hidden_wherever_the_id_stands(path: Path) -> None:
    key = "k" * 32
    log = _log(path, hash_patient=True, hash_key=SecretStr(key))
    hidden = "hmac:" + hmac.new(key.encode(), b"A", hashlib.sha256).hexdigest()
    assert _line(log)["patient"] == hidden
    assert _line(log, access=access(user=Reference("Patient", "A")))["user"] == f"Patient/{hidden}"
    assert _line(log)["user"] == "Practitioner/17"
    assert _line(log, access=access(patient=None, user=None))["patient"] is None


@pytest.mark.parametrize("is_hashed", [False, True])
def test_a_typed_name_can_be_hidden_and_still_be_counted(path: Path, is_hashed: bool) -> None:
    key = "k" * 32
    log = _log(path, **({"hash_typed_user": True, "hash_key": SecretStr(key)} if is_hashed else {}))
    log.add_event(ServerEvent(kind=EventKind.SIGN_IN_FAILED, at=0.0, typed_user="doctor", patient="A", issuer="i"))
    log.close()
    line = orjson.loads(path.read_bytes())
    hidden = "hmac:" + hmac.new(key.encode(), b"doctor", hashlib.sha256).hexdigest()
    assert line["typed_user"] == (hidden if is_hashed else "doctor")
    assert (line["patient"], line["issuer"]) == ("A", "i")


def test_a_token_that_was_refused_is_named_as_it_names_itself(log: AuditLog) -> None:
    claims = {"iss": "https://unknown.example", "aud": ["x" * 900, 7, "\ud800"], "azp": "app", "sub": "secret"}
    told = _line(log, access=None, refused_token=TokenClaims.read(claims))
    assert told.pop("refused_token") == {
        "issuer": "https://unknown.example", "audience": ["x" * 200, "?"], "client_id": "app",
    }  # fmt: skip
    assert list(told) == list(FIELDS)


def test_a_request_in_shadow_mode_says_what_enforcement_would_have_done(log: AuditLog) -> None:
    outcome = ShadowOutcome(
        dropped={("Observation", Reason.OUT_OF_REACH): 3, ("Made-up", Reason.UPSTREAM_MALFORMED): 1},
        rewritten=("_count", "patient"),
        left_out=("_include",),
    )
    told = _line(log, shadow=outcome)
    assert told.pop("shadow") == {
        "reason": "permitted",
        "dropped": {"Observation": {"out_of_reach": 3}, "other": {"upstream_malformed": 1}},
        "rewritten": ["_count", "patient"],
        "left_out": ["_include"],
    }
    assert list(told) == list(FIELDS)


@pytest.mark.parametrize(
    ("offender", "is_told"),
    [("Observation", True), ("code:text", True), ("Patient/secret/*", False), ("secret", False), ("", False)],
)
def test_what_a_refusal_would_have_named_is_told_only_if_it_is_a_known_name(
    log: AuditLog, offender: str, *, is_told: bool
) -> None:
    search = parse_request("GET", b"/Observation", b"code:text=secret", {}, b"")
    outcome = ShadowOutcome(Reason.SCOPE_INSUFFICIENT, offender, "patient/Observation.s")
    told = _line(log, interaction=search, shadow=outcome)["shadow"]
    named = {"offender": offender} if is_told else {}
    assert told == {"reason": "scope_insufficient", **named, "required_scope": "patient/Observation.s"}


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_no_value_can_pose_as_another_line_or_keep_a_line_from_being_written(text: str) -> None:
    log = AuditLog(LineWriter(1, close_descriptor=False))
    said = access(client_id=text, subject=text, user=Reference("Patient", text), patient=text)
    told = _line(log, access=said, request_id=text, method=text, remote_address=text)
    if text.isascii():
        assert told["client_id"] == told["subject"] == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\r\n", "\u2028"])
def test_what_is_not_unicode_is_written_all_the_same(path: Path, text: str) -> None:
    log = _log(path, hash_patient=True, hash_key=SecretStr("k"))
    assert (
        _line(log, access=access(client_id=text, patient=text))["client_id"] == text.encode("utf-8", "replace").decode()
    )


def test_each_line_names_its_own_caller(log: AuditLog) -> None:
    told = [_line(log, access=access(client_id=f"app-{number}"))["client_id"] for number in range(34_000)]
    assert told == [f"app-{number}" for number in range(34_000)]


def test_what_a_record_rule_withholds_is_said_where_there_is_some(log: AuditLog) -> None:
    assert _line(log, withheld={"Observation": 2})["withheld"] == {"Observation": 2}
    assert "withheld" not in _line(log)


def test_lines_arrive_whole_and_in_order(log: AuditLog, path: Path) -> None:
    for number in range(5000):
        log.add_request(request_record(kept=number))
    log.close()
    assert [orjson.loads(line)["kept"] for line in path.read_bytes().splitlines()] == list(range(5000))


def test_a_file_is_appended_to_and_is_for_its_owner_alone(path: Path) -> None:
    for _ in range(2):
        log = _log(path)
        log.add_request(request_record())
        log.close()
    assert len(path.read_bytes().splitlines()) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_directory_is_no_file_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        _log(tmp_path)


def _pipe() -> tuple[io.FileIO, int]:
    read, write = os.pipe()
    return io.FileIO(read), write


def test_lines_are_written_without_being_asked_for() -> None:
    reading, writing = _pipe()
    lines = LineWriter(writing, close_descriptor=True)
    lines.write(b"one\n")
    # Blocks until the writing thread has run; the only time limit is that of the test.
    assert reading.read(10) == b"one\n"
    lines.close()
    assert reading.read(10) == b""
    reading.close()


def test_a_full_queue_is_emptied_by_whoever_adds_to_it() -> None:
    reading, writing = _pipe()
    collected: list[bytes] = []
    reader = threading.Thread(target=lambda: collected.extend(iter(lambda: reading.read(65536), b"")))
    reader.start()
    lines = LineWriter(writing, close_descriptor=True, max_lines=10)
    for number in range(20_000):
        lines.write(b"%d\n" % number)
    lines.close()
    reader.join()
    reading.close()
    assert b"".join(collected).split() == [b"%d" % number for number in range(20_000)]
    assert lines.lost == 0


@pytest.fixture
def full_disk() -> int:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here, so a full disk was not tried")
    return os.open("/dev/full", os.O_WRONLY)


def test_lines_wait_for_a_full_disk_and_those_given_up_are_counted_and_told(
    full_disk: int, caplog: pytest.LogCaptureFixture
) -> None:
    lines = LineWriter(full_disk, close_descriptor=True, max_lines=10)
    for number in range(8):
        lines.write(b"%d\n" % number)
    lines.flush()
    assert lines.lost == 0
    for number in range(8):
        lines.write(b"%d\n" % number)
    lines.flush()
    assert lines.lost == 6
    lines.close()
    assert lines.lost == 16
    told = log_lines(caplog)
    assert ("error", "audit lines cannot be written, they wait", "No space left on device") in {
        (line["level"], line["event"], line.get("problem")) for line in told
    }
    assert sum(line.get("count", 0) for line in told) == 16


def test_what_waited_is_written_once_there_is_room(tmp_path: Path, full_disk: int) -> None:
    path = tmp_path / "audit.log"
    lines = LineWriter(full_disk, close_descriptor=True)
    lines.write(b"one\n")
    lines.flush()
    room = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(room, full_disk)
    os.close(room)
    lines.write(b"two\n")
    lines.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert lines.lost == 0


def test_a_reader_that_went_away_does_not_stop_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = _pipe()
    reading.close()
    lines = LineWriter(writing, close_descriptor=True)
    lines.write(b"one\n")
    lines.close()
    assert lines.lost == 1
    assert log_lines(caplog)[0]["problem"] == "Broken pipe"
