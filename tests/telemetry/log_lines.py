"""What was logged during a test, as the lines that an operator would read."""

from typing import Any

import orjson
import pytest

from gateway.telemetry.logs import LineFormatter


def log_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines of everything that `caplog` holds, each as the object that it is."""
    formatter = LineFormatter()
    return [orjson.loads(formatter.format(record)) for record in caplog.records]
