"""Records and parts of them that have ended or were withdrawn."""

from typing import Any

import pytest

from gateway.fhir.resources.records_in_force import drop_ended_parts, is_in_force

# 2026-03-01T00:00:00Z
NOW = 1772323200.0
RECORDS: dict[str, tuple[dict[str, Any], bool]] = {
    "one that says nothing": ({"resourceType": "RelatedPerson"}, True),
    "an active one": ({"resourceType": "RelatedPerson", "active": True}, True),
    "one that is not active": ({"resourceType": "RelatedPerson", "active": False}, False),
    "one entered in error": ({"resourceType": "CareTeam", "status": "entered-in-error"}, False),
    "one whose period goes on": ({"resourceType": "CareTeam", "period": {"end": "2026-03"}}, True),
    "one whose period has ended": ({"resourceType": "CareTeam", "period": {"end": "2026-02-28"}}, False),
    "one whose period cannot be read": ({"resourceType": "CareTeam", "period": {"end": "soon"}}, False),
    "one whose period is no period": ({"resourceType": "CareTeam", "period": "2026-02-28"}, False),
    "a visit that is over": ({"resourceType": "Encounter", "period": {"end": "2026-02-28"}}, True),
}
PARTS: dict[str, tuple[Any, bool]] = {
    "a member": ({"entity": {"reference": "Patient/a"}}, True),
    "an inactive member": ({"inactive": True}, False),
    "a deleted entry": ({"deleted": True}, False),
    "a participant who declined": ({"status": "declined"}, False),
    "an identifier whose period has ended": ({"value": "x", "period": {"end": "2020"}}, False),
    "a member whose period begins": ({"period": {"start": "2026-02-28"}}, True),
    "a text": ("x", True),
}


@pytest.mark.parametrize(("record", "holds"), RECORDS.values(), ids=RECORDS)
def test_a_record_holds_unless_it_has_ended_or_was_withdrawn(record: dict[str, Any], holds: bool) -> None:
    assert is_in_force(record, NOW) is holds


@pytest.mark.parametrize(("part", "stays"), PARTS.values(), ids=PARTS)
def test_a_part_stays_unless_it_has_ended(part: Any, stays: bool) -> None:
    assert drop_ended_parts({"member": [part], "name": "n"}, NOW) == {"member": [part] if stays else [], "name": "n"}
