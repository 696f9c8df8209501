"""Conditional reads (RFC 9110 13): weak comparison, lists and dates, and no 304 without a validator."""

import pytest

from gateway.fhir.request.interaction import ConditionalHeaders
from gateway.proxy.reading.conditional_read import is_not_modified

ETAG = ((b"etag", b'W/"3"'),)
DATED = ((b"last-modified", b"Thu, 01 Jan 2026 09:00:00 GMT"),)

UNCHANGED = {
    "the same tag": (ConditionalHeaders('W/"3"'), ETAG, True),
    "the strong form of the same tag": (ConditionalHeaders('"3"'), ETAG, True),
    "one of several": (ConditionalHeaders('W/"1", W/"3"'), ETAG, True),
    "any": (ConditionalHeaders("*"), ETAG, True),
    "another tag": (ConditionalHeaders('W/"4"'), ETAG, False),
    "a tag where the server gave none": (ConditionalHeaders('W/"3"'), (), False),
    "a date not before": (ConditionalHeaders(None, "Thu, 01 Jan 2026 09:00:00 GMT"), DATED, True),
    "a date before": (ConditionalHeaders(None, "Thu, 01 Jan 2026 08:59:59 GMT"), DATED, False),
    "a tag wins over a date": (ConditionalHeaders('W/"4"', "Fri, 02 Jan 2026 09:00:00 GMT"), (*ETAG, *DATED), False),
    "no date": (ConditionalHeaders(None, "yesterday"), DATED, False),
    "no condition": (ConditionalHeaders(), (*ETAG, *DATED), False),
}


@pytest.mark.parametrize(("conditions", "validators", "expected"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_the_client_holds_is_unchanged_for(
    conditions: ConditionalHeaders, validators: tuple[tuple[bytes, bytes], ...], expected: bool
) -> None:
    assert is_not_modified(conditions, validators) is expected
