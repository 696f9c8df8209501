"""docs/operating.md names every metric and every audit field, and no others."""

import re
from pathlib import Path

import orjson

from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.line_writer import LineWriter
from tests.telemetry.request_records import request_record

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def test_every_metric_is_explained_and_no_other() -> None:
    telemetry = sorted((ROOT / "gateway" / "telemetry").glob("*.py"))
    source = "".join(path.read_text(encoding="utf-8") for path in telemetry)
    explained = {name.removesuffix("_total") for name in re.findall(r"`(smart_gateway_[a-z_]+)`", TEXT)}
    assert explained == set(re.findall(r'"(smart_gateway_[a-z_]+)"', source))


def test_every_field_of_an_audit_line_is_explained_in_its_order() -> None:
    table = TEXT[TEXT.index("| field |") :].partition("\n\n")[0]
    explained = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    writer = LineWriter(1, close_descriptor=False)
    assert list(orjson.loads(AuditLog(writer).encode_request(request_record()))) == explained
