"""What is sent upstream is written from the value that was judged, so writing and reading must agree exactly."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.address import address_of
from gateway.fhir.interaction import BundlePost, Interaction, Operation, Page, Write
from gateway.fhir.problems import RequestError
from gateway.fhir.query import Query, encode_pairs
from gateway.fhir.request import parse_request

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
PIECES = st.sampled_from(
    [
        "/",
        "Patient",
        "Observation",
        "Binary",
        "A",
        "1",
        "_history",
        "_search",
        "$everything",
        "*",
        "metadata",
        "..",
        "%2f",
    ]
)
NAMES = st.sampled_from(
    [
        "patient",
        "code",
        "date",
        "subject:Patient",
        "subject.name",
        "code:not",
        "_has:",
        "_has:Provenance:target:agent",
        "patient:missing",
        "focus._id",
        "_id",
        "_filter",
        "_text",
        "_list",
        "_type",
        "_format",
        "_include",
        "_revinclude:iterate",
        "_sort",
        "_count",
        "_summary",
        "_elements",
        "_total",
        "_since",
        "_at",
        "_page",
        "access_token",
        "bogus",
        "code:",
        "_pretty",
        "_lastUpdated",
        "value-quantity",
        "code-value-quantity",
    ]
)
VALUES = st.text(max_size=8) | st.sampled_from(
    [
        r"A",
        r"Patient/A",
        r"A,B",
        r"s|c",
        r"true",
        r"count",
        r"accurate",
        r"-date,code",
        r"20",
        r"2024-05",
        r"ge2024",
        r"5.4|u|mg",
        r"a\,b",
        r"Observation:subject",
        r"*",
        r"Observation,Patient",
        r"json",
        r"é",
        r"a&b=c",
        r"a#b",
        r"x;y",
        r"%2C",
        r"+",
        r"a$b",
    ]
)
# What an Observation search, and what a history, surely takes; drawn beside the above so that most queries are read.
CRITERIA = st.sampled_from(
    [
        r"patient=A",
        r"patient=Patient/A,Patient/B",
        r"code=s|c",
        r"code=a+b",
        r"code:text=%C3%A9%26=%2B%23;%252C",
        r"code=a\,b$c",
        r"subject:Patient.name:exact=x+y",
        r"_has:Provenance:target:_has:AuditEvent:entity:agent=A",
        r"_id=A,B",
        r"date=ge2024-05-01",
        r"patient:missing=true",
        r"_include=Observation:subject:Patient",
        r"_include:iterate=*",
        r"_revinclude=Provenance:target",
        r"_tag=x|",
        r"_lastUpdated=lt2024-05-01T10:00:00.5%2B02:00",
        r"_filter=a+eq+b",
        r"_content=x",
        r"_sort=-date,subject.name",
        r"_summary=text",
        r"_elements=id,code",
        r"_total=none",
        r"_count=7",
        r"_count=5000",
        r"_format=json",
        r"value-quantity=gt5.4||mg",
    ]
)
VERSIONS = st.sampled_from(
    ["_count=7", "_since=2024-05-01T10:00:00Z", "_at=2024-05", "_elements=id,code", "_summary=true", "_format=json"]
)
SEARCHES = st.sampled_from(
    ["/Observation", "/Observation/_search", "/Patient/A/Observation", "/Encounter/e/Observation/_search"]
)
HISTORIES = st.sampled_from(["/_history", "/Observation/_history", "/Observation/1/_history"])
ANY_PAIR = st.tuples(NAMES, VALUES).map(lambda pair: encode_pairs((pair,)))


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


@given(METHODS, st.lists(PIECES, max_size=6).map("/".join), _query(ANY_PAIR | CRITERIA))
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


@given(
    SEARCHES.filter(lambda path: not path.endswith("_search")),
    _query(
        st.tuples(NAMES, st.sampled_from(["", " ", ",", ",A", "A,", "|", "A,,B", "\u3000"])).map(
            lambda p: encode_pairs((p,))
        )
    ),
)
def test_nothing_empty_is_ever_read(path: str, query: str) -> None:
    """hapi.md B2: what is empty is dropped by the server, and with it the criterion."""
    interaction = _read("GET", path, query)
    read: Query | None = getattr(interaction, "query", None)
    if read is not None:
        assert {str(one.key) for one in read.filters} <= {"_filter", "_text", "_list"}
        assert all(one.value.strip() for one in read.filters)
        assert read == Query(read.filters)
