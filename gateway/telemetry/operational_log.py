"""The operational log: start-up, warnings and faults as lines of JSON on standard error, and nothing per request.

JSON escapes line feeds and control characters, so that no value can look like a separate line.
"""

import logging
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, Literal

import orjson
from pythonjsonlogger.core import LogData
from pythonjsonlogger.orjson import OrjsonFormatter

from gateway.telemetry.tracing.spans import CURRENT_SPANS

Level = Literal["debug", "info", "warning", "error"]

_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "message": "event"}


def configure_logs(level: Level, worker: int | None = None, configuration: str | None = None) -> None:
    """Write messages of this package and its libraries, from `level` upwards, to standard error.

    `worker` is the number of this process among the workers, `configuration` the version in force; each line has them.
    """
    handler = logging.StreamHandler(sys.stderr)
    fields = {"worker": worker, "configuration": configuration}
    handler.setFormatter(LineFormatter({name: value for name, value in fields.items() if value is not None}))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


class LineFormatter(OrjsonFormatter):
    """Formats a log record as a JSON object: `time`, `level`, `logger`, `event`, then the fields given as `extra`.

    `trace_id` is added while a request is handled of which spans are recorded.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, static_fields: Mapping[str, object] | None = None) -> None:
        """`static_fields` are in every object."""
        super().__init__(list(_NAMES), rename_fields=_NAMES, static_fields=static_fields, json_default=repr)
        self.converter = time.gmtime

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Report an error by type and stack. Its message is omitted, because it may quote a resource or a token."""
        message_dict.pop("exc_info", None)
        super().add_fields(log_data, record, message_dict)
        log_data["level"] = record.levelname.lower()
        spans = CURRENT_SPANS.get()
        if spans is not None:
            log_data["trace_id"] = spans.trace
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            log_data["error"] = type(error).__qualname__
            log_data["places"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]

    def jsonify_log_record(self, log_data: LogData) -> str:
        """The object as JSON text. Values that are not valid Unicode, such as half a surrogate pair, become ASCII."""
        try:
            return super().jsonify_log_record(log_data)
        except orjson.JSONEncodeError:
            return orjson.dumps({name: ascii(value) for name, value in log_data.items()}).decode()
