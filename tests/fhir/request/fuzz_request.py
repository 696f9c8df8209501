"""The fuzz target of the request parser.

Invariant: any bytes are either refused with a RequestError or parsed into an Interaction. Formatting its URL and
parsing it again returns an equal Interaction. It has no dot segment, no blank value and no control character.

Run it with `python -m tests.fhir.request [libFuzzer options]`.
"""

import unicodedata

from gateway.fhir.request.interaction import BatchOrTransaction, Interaction, Operation, PagingLink, Write
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.request_error import RequestError

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_FORM = {b"content-type": b"application/x-www-form-urlencoded"}


def check(data: bytes) -> None:
    """Check one input: a byte that selects the method, then `path?query`, a line feed, and a form body."""
    method = _METHODS[data[0] % len(_METHODS)] if data else "GET"
    target, _, body = data[1:].partition(b"\n")
    path, _, query = target.partition(b"?")
    try:
        interaction = parse_request(method, path, query, _FORM if body else {}, body)
    except RequestError as error:
        assert error.offender.isprintable(), "an offender must be printable"
        return
    if not isinstance(interaction, PagingLink | Write | BatchOrTransaction | Operation):
        _check_round_trip(interaction)


def _check_round_trip(interaction: Interaction) -> None:
    path, query = format_interaction_url(interaction)
    assert not {".", ".."} & set(path.split("/")), "a path has a dot segment"
    assert parse_request("GET", path.encode(), query.encode(), {}, b"") == interaction, (
        "the formatted URL is parsed differently"
    )
    for criterion in getattr(getattr(interaction, "query", None), "filters", ()):
        assert criterion.value.strip(), "a value is blank"
        assert not any(unicodedata.category(character) == "Cc" for character in criterion.value), (
            "a value has a control character"
        )


SEEDS = (
    b"\x00/Observation/1",
    b"\x00/Observation?subject:Patient.name:exact=a%2Cb&_has:Provenance:target:agent=A&_count=20&_sort=-date",
    b"\x02/Observation/_search?patient=A\ncode=s%7Cc,d&_include:iterate=Observation:subject:Patient",
    b"\x00/Patient/A/*?_type=Observation,Condition&_lastUpdated=ge2024-05-01T10:00:00%2B02:00",
    b"\x00/_history?_since=2024-05-01T10:00:00Z&_elements=id,name&_summary=text&_total=none",
    b"\x00/?_page=abc",
)
