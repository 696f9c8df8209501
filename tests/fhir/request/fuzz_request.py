"""Invariant: whatever the bytes, a request is either refused by a RequestError, or read as an Interaction that means
the same when it is written again; and whatever is read holds no dot segment, no blank and no control character.

Run it with `python -m tests.fhir.request [libFuzzer options]`.
"""

import unicodedata

from gateway.fhir.address import address_of
from gateway.fhir.interaction import BundlePost, Interaction, Operation, Page, Write
from gateway.fhir.problems import RequestError
from gateway.fhir.request import parse_request

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_FORM = {b"content-type": b"application/x-www-form-urlencoded"}


def check(data: bytes) -> None:
    """One input: a byte that chooses the method, then `path?query`, a line feed, and a form body."""
    method = _METHODS[data[0] % len(_METHODS)] if data else "GET"
    target, _, body = data[1:].partition(b"\n")
    path, _, query = target.partition(b"?")
    try:
        interaction = parse_request(method, path, query, _FORM if body else {}, body)
    except RequestError as error:
        assert error.offender.isprintable(), "an offender must be printable"
        return
    if not isinstance(interaction, Page | Write | BundlePost | Operation):
        _check_again(interaction)


def _check_again(interaction: Interaction) -> None:
    path, query = address_of(interaction)
    assert not {".", ".."} & set(path.split("/")), "a path keeps a dot segment"
    assert parse_request("GET", path.encode(), query.encode(), {}, b"") == interaction, "it reads differently"
    for criterion in getattr(getattr(interaction, "query", None), "filters", ()):
        assert criterion.value.strip(), "a value is blank"
        assert not any(unicodedata.category(one) == "Cc" for one in criterion.value), "a control character is kept"


SEEDS = (
    b"\x00/Observation/1",
    b"\x00/Observation?subject:Patient.name:exact=a%2Cb&_has:Provenance:target:agent=A&_count=20&_sort=-date",
    b"\x02/Observation/_search?patient=A\ncode=s%7Cc,d&_include:iterate=Observation:subject:Patient",
    b"\x00/Patient/A/*?_type=Observation,Condition&_lastUpdated=ge2024-05-01T10:00:00%2B02:00",
    b"\x00/_history?_since=2024-05-01T10:00:00Z&_elements=id,name&_summary=text&_total=none",
    b"\x00/?_page=abc",
)
