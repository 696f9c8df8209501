"""Finds the line of a decision in the audit log."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import orjson

from gateway.commands.explaining.explain_error import ExplainError
from gateway.settings.model import Audit


def find_audit_line(
    decision_id: str, audit: Audit | None, file: Path | None, standard_input: IO[bytes]
) -> dict[str, Any]:
    """The line of a decision, from `file` (`-`: standard input) or else from the file of the configuration.

    Raises `ExplainError`, and `OSError` if the file cannot be read.
    """
    path = file if file is not None else (audit.path() if audit is not None else None)
    if path is None:
        raise ExplainError(
            "Say where the audit lines are: --config with audit.destination, or --audit FILE (- for stdin)."
        )
    if str(path) == "-":
        return _find(decision_id, standard_input)
    with path.open("rb") as lines:
        return _find(decision_id, lines)


def _find(decision_id: str, lines: Iterable[bytes]) -> dict[str, Any]:
    wanted = decision_id.encode()
    for line in lines:
        if wanted in line:
            try:
                fields = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(fields, dict) and fields.get("decision_id") == decision_id:
                return fields
    raise ExplainError(f"No audit line has the decision id {decision_id}.")
