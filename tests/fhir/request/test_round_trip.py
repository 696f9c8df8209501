"""The request to the FHIR server is built from the judged value, so formatting and parsing must be exact inverses."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.request.interaction import BatchOrTransaction, Interaction, Operation, PagingLink, Write
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.request_error import RequestError
from gateway.fhir.search.query import Query, encode_pairs


def sample_words(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


METHODS = sample_words("GET HEAD POST PUT PATCH DELETE OPTIONS")
PATH_SEGMENTS = sample_words("/ Patient Observation Binary A 1 _history _search $everything * metadata .. %2f")
NAMES = sample_words(
    """patient code date subject:Patient subject.name code:not _has: _has:Provenance:target:agent patient:missing
    focus._id _id _filter _text _list _type _format _include _revinclude:iterate _sort _count _summary _elements _total
    _since _at _page access_token bogus code: _pretty _lastUpdated value-quantity code-value-quantity"""
)
VALUES = st.text(max_size=8) | sample_words(
    r"""A Patient/A A,B s|c true count accurate -date,code 20 2024-05 ge2024 5.4|u|mg a\,b Observation:subject *
    Observation,Patient json é a&b=c a#b x;y %2C + a$b"""
)
# Valid parameters of an Observation search and of a history. With the names and values above most queries would fail.
CRITERIA = sample_words(
    r"""patient=A patient=Patient/A,Patient/B code=s|c code=a+b code:text=%C3%A9%26=%2B%23;%252C code=a\,b$c
    subject:Patient.name:exact=x+y _has:Provenance:target:_has:AuditEvent:entity:agent=A _id=A,B date=ge2024-05-01
    patient:missing=true _include=Observation:subject:Patient _include:iterate=* _revinclude=Provenance:target _tag=x|
    _lastUpdated=lt2024-05-01T10:00:00.5%2B02:00 _filter=a+eq+b _content=x _sort=-date,subject.name _summary=text
    _elements=id,code _total=none _count=7 _count=5000 _format=json value-quantity=gt5.4||mg"""
)
VERSIONS = sample_words("_count=7 _since=2024-05-01T10:00:00Z _at=2024-05 _elements=id,code _summary=true _format=json")
SEARCHES = sample_words("/Observation /Observation/_search /Patient/A/Observation /Encounter/e/Observation/_search")
HISTORIES = sample_words("/_history /Observation/_history /Observation/1/_history")
BLANK_VALUES = st.sampled_from(["", " ", ",", ",A", "A,", "|", "A,,B", "\u3000"])


def encode_pair(name: str, value: str) -> str:
    return encode_pairs(((name, value),))


def join_parameters(pieces: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(pieces, max_size=5, unique_by=lambda piece: piece.split("=")[0]).map("&".join)


def parse(method: str, path: str, query: str, body: str = "") -> Interaction | None:
    headers = {b"content-type": b"application/x-www-form-urlencoded"} if body else {}
    try:
        return parse_request(method, path.encode(), query.encode(), headers, body.encode())
    except RequestError:
        return None


def parse_url_of(interaction: Interaction) -> Interaction | None:
    path, query = format_interaction_url(interaction)
    return parse("GET", path, query)


@given(METHODS | st.text(), st.binary(), st.binary(), st.dictionaries(st.binary(), st.binary()), st.binary())
def test_any_bytes_are_an_interaction_or_a_request_error(
    method: str, path: bytes, query: bytes, headers: dict[bytes, bytes], body: bytes
) -> None:
    try:
        parse_request(method, path, query, headers, body)
    except RequestError as error:
        assert error.offender.isprintable()
        assert len(error.offender) <= 100


@given(
    METHODS,
    st.lists(PATH_SEGMENTS, max_size=6).map("/".join),
    join_parameters(st.builds(encode_pair, NAMES, VALUES) | CRITERIA),
)
def test_whatever_is_read_is_read_the_same_from_its_own_address(method: str, path: str, query: str) -> None:
    interaction = parse(method, path, query)
    if interaction is not None and not isinstance(interaction, PagingLink | Write | BatchOrTransaction | Operation):
        assert parse_url_of(interaction) == interaction


@given(
    SEARCHES,
    join_parameters(CRITERIA),
    join_parameters(CRITERIA.filter(lambda piece: piece[:2] not in {"_s", "_e", "_t", "_c", "_f"})),
)
def test_a_search_is_read_the_same_from_its_own_address(path: str, query: str, form: str) -> None:
    by_form = path.endswith("_search")
    interaction = parse("POST" if by_form else "GET", path, query, form if by_form else "")
    assert interaction is not None
    assert parse_url_of(interaction) == interaction


@given(HISTORIES, join_parameters(VERSIONS))
def test_a_history_is_read_the_same_from_its_own_address(path: str, query: str) -> None:
    interaction = parse("GET", path, query)
    assert interaction is not None
    assert parse_url_of(interaction) == interaction


@given(
    sample_words("/Observation /Patient/A/Observation"), join_parameters(st.builds(encode_pair, NAMES, BLANK_VALUES))
)
def test_nothing_empty_is_ever_read(path: str, query: str) -> None:
    """The server drops a criterion with an empty value (hapi.md B2)."""
    interaction = parse("GET", path, query)
    parsed_query: Query | None = getattr(interaction, "query", None)
    if parsed_query is not None:
        assert {str(criterion.key) for criterion in parsed_query.criteria} <= {"_filter", "_text", "_list"}
        assert all(criterion.value.strip() for criterion in parsed_query.criteria)
        assert parsed_query == Query(parsed_query.criteria)
