"""Lock three for what a bulk export says beside its resources: deletions, and messages of the FHIR server."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson

from gateway.fhir.reference import parse_reference
from gateway.fhir.resources.resource import MalformedResourceError, check_utf8, decode_member
from gateway.policy.decision_types import ExportFilter
from gateway.policy.judgement.bounded_outcome import bound_issue
from gateway.policy.judgement.verdict import UNREADABLE
from gateway.policy.permission.export_permission import export_permission


def judge_deletions(line: bytes, export: ExportFilter) -> bytes:
    """The Bundle of deletions in a line, with those alone that may be known; nothing if none is left.

    Nothing shows whether a deleted resource satisfied a constraint, so the whole type must be permitted (enforcement.md
    8). Raises `MalformedResourceError`.
    """
    bundle = _read_object(line, "Bundle")
    kept = [
        {"request": {"method": "DELETE", "url": url}} for url in _deleted_urls(bundle) if _may_be_known(url, export)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": kept}) + b"\n" if kept else b""


def abridge_outcome(line: bytes, _: ExportFilter) -> bytes:
    """The severities and codes of an OperationOutcome, whose text may quote hidden data (leak_28).

    Raises `MalformedResourceError`.
    """
    issues = _objects(_read_object(line, "OperationOutcome").get("issue"))
    kept = [bound_issue(issue) for issue in issues]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": kept}) + b"\n" if kept else b""


class NoteJudge:
    """Judges the lines of a file that holds no resources of its own. It counts as `LineJudge` does."""

    def __init__(self, judge_line: Callable[[bytes, ExportFilter], bytes], export: ExportFilter) -> None:
        self._judge_line = judge_line
        self._export = export
        self.kept = 0
        self.dropped: dict[str, int] = {}

    def judge(self, block: bytes) -> bytes:
        """What is permitted of a block of complete lines."""
        return b"".join([self._judge(line) for line in block.splitlines() if not line.isspace() and line])

    def _judge(self, line: bytes) -> bytes:
        try:
            text = self._judge_line(line, self._export)
        except MalformedResourceError:
            text = b""
        if text:
            self.kept += 1
        else:
            self.drop_unreadable()
        return text

    def drop_unreadable(self) -> None:
        """Count a line of which nothing is shown."""
        self.dropped[UNREADABLE] = self.dropped.get(UNREADABLE, 0) + 1


def _deleted_urls(bundle: dict[str, Any]) -> Sequence[str]:
    requests = [entry.get("request") for entry in _objects(bundle.get("entry"))]
    urls = [
        request.get("url") for request in requests if isinstance(request, dict) and request.get("method") == "DELETE"
    ]
    return [url for url in urls if isinstance(url, str)]


def _may_be_known(url: str, export: ExportFilter) -> bool:
    reference = parse_reference(url)
    if reference is None or reference.version_id is not None or not export.permits_type(reference.resource_type):
        return False
    return export.passes_everything or export_permission(export.grant, reference.resource_type).covers_whole_type


def _read_object(line: bytes, resource_type: str) -> dict[str, Any]:
    check_utf8(line)
    value = decode_member(msgspec.Raw(line.strip()))
    if not isinstance(value, dict) or value.get("resourceType") != resource_type:
        raise MalformedResourceError("another resource than announced")
    return value


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
