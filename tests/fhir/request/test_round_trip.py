"""What is sent upstream is written from the value that was judged, so writing and reading must agree exactly."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.address import address_of
from gateway.fhir.interaction import BundlePost, Interaction, Operation, Page, Write
from gateway.fhir.problems import RequestError
from gateway.fhir.query import Query, encode_pairs
from gateway.fhir.request import parse_request


def _one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


METHODS = _one_of("GET HEAD POST PUT PATCH DELETE OPTIONS")
PIECES = _one_of("/ Patient Observation Binary A 1 _history _search $everything * metadata .. %2f")
NAMES = _one_of(
    """patient code date subject:Patient subject.name code:not _has: _has:Provenance:target:agent patient:missing
    focus._id _id _filter _text _list _type _format _include _revinclude:iterate _sort _count _summary _elements _total
    _since _at _page access_token bogus code: _pretty _lastUpdated value-quantity code-value-quantity"""
)
VALUES = st.text(max_size=8) | _one_of(
    r"""A Patient/A A,B s|c true count accurate -date,code 20 2024-05 ge2024 5.4|u|mg a\,b Observation:subject *
    Observation,Patient json é a&b=c a#b x;y %2C + a$b"""
)
# What an Observation search, and what a history, surely takes; drawn beside the above so that most queries are read.
CRITERIA = _one_of(
    r"""patient=A patient=Patient/A,Patient/B code=s|c code=a+b code:text=%C3%A9%26=%2B%23;%252C code=a\,b$c
    subject:Patient.name:exact=x+y _has:Provenance:target:_has:AuditEvent:entity:agent=A _id=A,B date=ge2024-05-01
    patient:missing=true _include=Observation:subject:Patient _include:iterate=* _revinclude=Provenance:target _tag=x|
    _lastUpdated=lt2024-05-01T10:00:00.5%2B02:00 _filter=a+eq+b _content=x _sort=-date,subject.name _summary=text
    _elements=id,code _total=none _count=7 _count=5000 _format=json value-quantity=gt5.4||mg"""
)
VERSIONS = _one_of("_count=7 _since=2024-05-01T10:00:00Z _at=2024-05 _elements=id,code _summary=true _format=json")
SEARCHES = _one_of("/Observation /Observation/_search /Patient/A/Observation /Encounter/e/Observation/_search")
HISTORIES = _one_of("/_history /Observation/_history /Observation/1/_history")
EMPTY = st.sampled_from(["", " ", ",", ",A", "A,", "|", "A,,B", "\u3000"])


def _written(name: str, value: str) -> str:
    return encode_pairs(((name, value),))


def _query(pieces: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(pieces, max_size=5, unique_by=lambda piece: piece.split("=")[0]).map("&".join)


def _read(method: str, path: str, query: str, body: str = "") -> Interaction | None:
    headers = {b"content-type": b"application/x-www-form-urlencoded"} if body else {}
    try:
        return parse_request(method, path.encode(), query.encode(), headers, body.encode())
    except RequestError:
        return None


def _read_again(interaction: Interaction) -> Interaction | None:
    path, query = address_of(interaction)
    return _read("GET", path, query)


@given(METHODS | st.text(), st.binary(), st.binary(), st.dictionaries(st.binary(), st.binary()), st.binary())
def test_any_bytes_are_an_interaction_or_a_request_error(
    method: str, path: bytes, query: bytes, headers: dict[bytes, bytes], body: bytes
) -> None:
    try:
        parse_request(method, path, query, headers, body)
    except RequestError as error:
        assert error.offender.isprintable()
        assert len(error.offender) <= 100


@given(METHODS, st.lists(PIECES, max_size=6).map("/".join), _query(st.builds(_written, NAMES, VALUES) | CRITERIA))
def test_whatever_is_read_is_read_the_same_from_its_own_address(method: str, path: str, query: str) -> None:
    interaction = _read(method, path, query)
    if interaction is not None and not isinstance(interaction, Page | Write | BundlePost | Operation):
        assert _read_again(interaction) == interaction


@given(
    SEARCHES, _query(CRITERIA), _query(CRITERIA.filter(lambda piece: piece[:2] not in {"_s", "_e", "_t", "_c", "_f"}))
)
def test_a_search_is_read_the_same_from_its_own_address(path: str, query: str, form: str) -> None:
    by_form = path.endswith("_search")
    interaction = _read("POST" if by_form else "GET", path, query, form if by_form else "")
    assert interaction is not None
    assert _read_again(interaction) == interaction


@given(HISTORIES, _query(VERSIONS))
def test_a_history_is_read_the_same_from_its_own_address(path: str, query: str) -> None:
    interaction = _read("GET", path, query)
    assert interaction is not None
    assert _read_again(interaction) == interaction


@given(_one_of("/Observation /Patient/A/Observation"), _query(st.builds(_written, NAMES, EMPTY)))
def test_nothing_empty_is_ever_read(path: str, query: str) -> None:
    """hapi.md B2: what is empty is dropped by the server, and with it the criterion."""
    interaction = _read("GET", path, query)
    read: Query | None = getattr(interaction, "query", None)
    if read is not None:
        assert {str(one.key) for one in read.filters} <= {"_filter", "_text", "_list"}
        assert all(one.value.strip() for one in read.filters)
        assert read == Query(read.filters)
