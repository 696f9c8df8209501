"""Operational logs: lines of JSON on standard error, which no value can forge and no error message fills with data."""

import subprocess
import sys
from typing import Any

import orjson

PROGRAM = """
import logging, structlog
from gateway.telemetry.logs import configure_logs
configure_logs({level!r})
log = structlog.get_logger("gateway.test")
{code}
"""


def _logged(code: str, level: str = "info") -> list[dict[str, Any]]:
    """What a program of its own writes, since logging is configured once for a whole process."""
    program = [sys.executable, "-c", PROGRAM.format(level=level, code=code)]
    done = subprocess.run(program, capture_output=True, check=True, timeout=60)
    assert done.stdout == b""
    return [orjson.loads(line) for line in done.stderr.splitlines()]


def test_a_message_is_a_line_of_json_with_its_values() -> None:
    (line,) = _logged("log.warning('listening', port=8080)")
    assert line.pop("time").endswith("Z")
    assert line == {"event": "listening", "port": 8080, "level": "warning", "logger": "gateway.test"}


def test_libraries_log_in_the_same_form() -> None:
    (line,) = _logged("logging.getLogger('uvicorn.error').error('cannot %s', 'bind')")
    assert (line["event"], line["level"], line["logger"]) == ("cannot bind", "error", "uvicorn.error")


def test_less_urgent_messages_are_left_out() -> None:
    code = "log.info('a'); log.warning('b'); logging.getLogger('x').info('c'); logging.getLogger('x').error('d')"
    assert [line["event"] for line in _logged(code, "warning")] == ["b", "d"]
    assert [line["event"] for line in _logged("log.debug('a')", "debug")] == ["a"]


def test_no_value_can_pose_as_another_line() -> None:
    text = 'x\\n{"event":"forged"}\\r\\x1b[2K\\u2028'
    lines = _logged(f"log.warning('{text}', value='{text}')")
    assert [line["event"] for line in lines] == ['x\n{"event":"forged"}\r\x1b[2K\u2028']


def test_what_is_no_text_is_still_written() -> None:
    code = "log.warning('odd', half='\\ud800'); log.warning('odd', value=object(), raw=b'x')"
    assert [line["event"].strip("'") for line in _logged(code)] == ["odd", "odd"]


def test_an_error_tells_its_type_and_places_but_not_its_message() -> None:
    code = """
def fails(): raise ValueError("token abc of patient A")
try: fails()
except ValueError as error:
    log.exception("fault", decision_id="1-1")
    log.error("fault", exc_info=error)
    logging.getLogger("asyncio").error("fault", exc_info=True)
"""
    lines = _logged(code)
    assert len(lines) == 3
    for line in lines:
        assert line["error"] == "ValueError"
        assert line["places"][-1].endswith(" fails")
        assert "abc" not in str(line)
        assert "exception" not in line
