"""Conditional reads by RFC 9110 13: weak comparison, lists, dates, and nothing proven without a validator."""

import pytest

from gateway.fhir.interaction import Conditions
from gateway.web.conditions import unchanged

ETAG = ((b"etag", b'W/"3"'),)
DATED = ((b"last-modified", b"Thu, 01 Jan 2026 09:00:00 GMT"),)

UNCHANGED = {
    "the same tag": (Conditions('W/"3"'), ETAG, True),
    "the strong form of the same tag": (Conditions('"3"'), ETAG, True),
    "one of several": (Conditions('W/"1", W/"3"'), ETAG, True),
    "any": (Conditions("*"), ETAG, True),
    "another tag": (Conditions('W/"4"'), ETAG, False),
    "a tag where the server gave none": (Conditions('W/"3"'), (), False),
    "a date not before": (Conditions(None, "Thu, 01 Jan 2026 09:00:00 GMT"), DATED, True),
    "a date before": (Conditions(None, "Thu, 01 Jan 2026 08:59:59 GMT"), DATED, False),
    "a tag wins over a date": (Conditions('W/"4"', "Fri, 02 Jan 2026 09:00:00 GMT"), (*ETAG, *DATED), False),
    "no date": (Conditions(None, "yesterday"), DATED, False),
    "no condition": (Conditions(), (*ETAG, *DATED), False),
}


@pytest.mark.parametrize(("conditions", "validators", "expected"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_the_client_holds_is_unchanged_for(
    conditions: Conditions, validators: tuple[tuple[bytes, bytes], ...], expected: bool
) -> None:
    assert unchanged(conditions, validators) is expected
