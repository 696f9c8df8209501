"""Operational messages as lines of JSON on standard error: start-up, warnings, faults; nothing per request.

JSON escapes line feeds and control characters, so that no value can pose as another line.
"""

import logging
import sys
import time
import traceback
from typing import Any, Literal

import orjson
from pythonjsonlogger.core import LogData
from pythonjsonlogger.orjson import OrjsonFormatter

Level = Literal["debug", "info", "warning", "error"]

_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "message": "event"}


def configure_logs(level: Level) -> None:
    """Send what this package and its libraries log from `level` upwards to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


class LineFormatter(OrjsonFormatter):
    """A record as one JSON object: `time`, `level`, `logger`, `event`, then the fields given as `extra`."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__(list(_NAMES), rename_fields=_NAMES, json_default=repr)
        self.converter = time.gmtime

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Tell an error as its type and its places. Its message stays out: it may quote a record or a token."""
        message_dict.pop("exc_info", None)
        super().add_fields(log_data, record, message_dict)
        log_data["level"] = record.levelname.lower()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            log_data["error"] = type(error).__qualname__
            log_data["places"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]

    def jsonify_log_record(self, log_data: LogData) -> str:
        """The object as text; one that is no JSON, such as half a character, has its values in ASCII."""
        try:
            return super().jsonify_log_record(log_data)
        except orjson.JSONEncodeError:
            return orjson.dumps({name: ascii(value) for name, value in log_data.items()}).decode()
