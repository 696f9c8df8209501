"""The operational log: JSON lines on standard error that no value can forge, and without texts of errors."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

PROGRAM = """
import logging
from gateway.telemetry.operational_log import configure_logs
configure_logs({level!r})
log = logging.getLogger("gateway.test")
{code}
"""


def _run_and_read_log(code: str, level: str = "info") -> list[dict[str, Any]]:
    """The log of a separate program, because logging is configured once per process."""
    program = [sys.executable, "-c", PROGRAM.format(level=level, code=code)]
    # A zone far from UTC: log lines must be in UTC.
    far = os.environ | {"TZ": "XXX-9"}
    done = subprocess.run(program, capture_output=True, check=True, timeout=60, env=far)
    assert done.stdout == b""
    return [orjson.loads(line) for line in done.stderr.splitlines()]


def test_a_message_is_a_line_of_json_with_its_values() -> None:
    (line,) = _run_and_read_log("log.warning('listening', extra=dict(port=8080))")
    told = line.pop("time")
    assert told.endswith("Z")
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(told) < timedelta(minutes=5)
    assert line == {"event": "listening", "port": 8080, "level": "warning", "logger": "gateway.test"}


def test_libraries_log_in_the_same_form() -> None:
    (line,) = _run_and_read_log("logging.getLogger('uvicorn.error').error('cannot %s', 'bind')")
    assert (line["event"], line["level"], line["logger"]) == ("cannot bind", "error", "uvicorn.error")


def test_less_urgent_messages_are_left_out() -> None:
    code = "log.info('a'); log.warning('b'); logging.getLogger('x').info('c'); logging.getLogger('x').error('d')"
    assert [line["event"] for line in _run_and_read_log(code, "warning")] == ["b", "d"]
    assert [line["event"] for line in _run_and_read_log("log.debug('a')", "debug")] == ["a"]


def test_no_value_can_pose_as_another_line() -> None:
    text = 'x\\n{"event":"forged"}\\r\\x1b[2K\\u2028'
    lines = _run_and_read_log(f"log.warning('{text}', extra=dict(value='{text}'))")
    assert [line["event"] for line in lines] == ['x\n{"event":"forged"}\r\x1b[2K\u2028']


def test_what_is_no_text_is_still_written() -> None:
    code = "log.warning('odd', extra=dict(half='\\ud800')); log.warning('odd', extra=dict(value=object(), raw=b'x'))"
    assert [line["event"].strip("'") for line in _run_and_read_log(code)] == ["odd", "odd"]


def test_an_error_tells_its_type_and_places_but_not_its_message() -> None:
    code = """
def fails(): raise ValueError("token abc of patient A")
try: fails()
except ValueError as error:
    log.exception("fault", extra={"decision_id": "1-1"})
    log.error("fault", exc_info=error)
    logging.getLogger("asyncio").error("fault", exc_info=True)
    given = (type(error), error, error.__traceback__)
    record = logging.LogRecord("gateway.test", logging.ERROR, "", 1, "fault", (), given)
    logging.Formatter().format(record)
    logging.getLogger().handle(record)
"""
    lines = _run_and_read_log(code)
    assert len(lines) == 4
    for line in lines:
        assert line["error"] == "ValueError"
        assert line["places"][-1].endswith(" fails")
        assert "abc" not in str(line)
        assert not {"exception", "exc_info", "exc_text"} & line.keys()


def test_where_there_is_no_error_none_is_told() -> None:
    (line,) = _run_and_read_log("log.error('fault', exc_info=True)")
    assert line.keys() == {"time", "level", "logger", "event"}
