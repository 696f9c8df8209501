"""The log lines of a test, as an operator would read them."""

from typing import Any

import orjson
import pytest

from gateway.telemetry.operational_log import LineFormatter


def log_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The records of `caplog` as parsed log lines."""
    formatter = LineFormatter()
    return [orjson.loads(formatter.format(record)) for record in caplog.records]
