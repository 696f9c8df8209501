"""A recorded request is decided again as it was decided, whatever the request, the token and the rules."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir.reference import Reference
from gateway.fhir.request_error import RequestError
from gateway.fhir.search_parameters import get_search_parameters
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import CompartmentSet, UserFacts
from gateway.policy.permission.rules import (
    ExportRules,
    MembershipMode,
    PractitionerReach,
    Rules,
    UnnarrowedSearch,
    WriteRules,
)
from gateway.policy.recording.outcome import describe_outcome
from gateway.policy.recording.replay_request import Replayed, Undecidable
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import Constraint, Context, IdentityScope, Letter, ResourceScope
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.enforcement.operations import operation_rules
from tests.policy.grants import PUBLIC, UPSTREAM
from tests.policy.recording.replays import record, replay, replayed_reason

_TYPES = ("Patient", "Observation", "Condition", "Encounter", "Practitioner", "Organization", "Binary", "Appointment")
_IDS = ("A", "B", "p", "2024", "true", "id-1", "value-1")
_VALUES: dict[str, tuple[str, ...]] = {
    "_id": ("A", "B,r1", "r1"),
    "patient": ("A", "Patient/A", "Patient/B", "Patient/A,Patient/B", f"{PUBLIC}/Patient/A", "http://else/Patient/A"),
    "subject": ("Patient/A", "Group/g", "urn:uuid:1", "A"),
    "subject:Patient": ("A", "B"),
    "subject:Patient.name": ("Smith",),
    "subject:Patient.birthdate": ("ge1970-02-03",),
    "patient.identifier": ("http://hospital.example|123", "123"),
    "patient:missing": ("true", "false"),
    "code": ("laboratory", "http://c|lab", "|lab", "http://c|", "a\\,b,c", "true"),
    "code:not": ("lab",),
    "code:in": ("http://codes.example/set",),
    "category": ("laboratory", "vital-signs", "laboratory,vital-signs"),
    "status": ("final", "amended"),
    "date": ("2024", "ge2024-01", "lt2024-01-31", "2024-01-31T10:00Z", "2024-01-31T10:00:00+02:00"),
    "value-quantity": ("gt5.4", "5.4|http://u|mg", "5.4||mg", "1e3"),
    "_lastUpdated": ("ge2024-01-31T10:00:00Z",),
    "_has:Observation:patient:code": ("lab",),
    "_has:Observation:subject:patient.name": ("Smith",),
    "_sort": ("-date", "patient.name", "_id"),
    "_count": ("0", "5", "49", "50", "5000"),
    "_summary": ("count", "true"),
    "_total": ("none", "accurate"),
    "_elements": ("code,subject", "Smith"),
    "_include": ("Observation:patient", "Observation:subject:Patient", "*"),
    "_revinclude": ("Provenance:target", "Observation:patient"),
    "_filter": ("name eq Smith",),
    "_type": ("Observation", "Observation,Condition"),
    "_since": ("2024-01-31T10:00:00Z",),
    "_at": ("2024-01",),
    "start": ("2024-01-31T10:00:00Z",),
    "_typeFilter": ("Observation%3Fcode%3Dlab",),
    "name": ("Smith",),
    "unheard-of": ("Smith",),
    "count": ("0", "5", "five"),
    "code-system": ("a",),
}  # fmt: skip
_OPERATIONS = ("everything", "lastn", "validate", "meta", "docref", "export", "john.smith", "expand", "validate-code")
_BODIES = (
    b"",
    b'{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2024-01-02"}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"Smith","valueString":"Smith"}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/B"}}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"code","valueCoding":{"system":"s","code":"c"}}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Observation"}}]}',
    b'{"resourceType":"Observation","subject":{"reference":"Patient/A"}}',
)

_RESULT_PARAMETERS = ("_sort", "_count", "_summary", "_total", "_elements", "_include", "_revinclude")
_OF_OBSERVATIONS = (
    *(name for name in _VALUES if name.split(":")[0].split(".")[0] in get_search_parameters("Observation")),
    "_has:Observation:patient:code",
    "_filter",
    *_RESULT_PARAMETERS,
)
_OF_OPERATIONS = ("start", "_type", "_since", "count", "patient", "name", "_count", "code", "subject", "_elements")


def _queries_of(names: Sequence[str]) -> st.SearchStrategy[str]:
    def pairs_of(name: str) -> st.SearchStrategy[str]:
        return st.sampled_from(_VALUES[name]).map(lambda value: f"{name}={value.replace('+', '%2B')}")

    pairs = st.sampled_from(sorted(names)).flatmap(pairs_of)
    return st.lists(pairs, max_size=3, unique_by=lambda pair: pair.split("=")[0]).map(
        lambda found: f"?{'&'.join(found)}" if found else ""
    )


_queries = _queries_of(("_id", "_lastUpdated", *_RESULT_PARAMETERS, "_type"))
_observation_queries = _queries_of(_OF_OBSERVATIONS)
_types, _ids = st.sampled_from(_TYPES), st.sampled_from(_IDS)
_observation_requests = st.builds(
    "{} /{}Observation{}".format,
    st.sampled_from(("GET", "GET", "GET", "PUT", "DELETE")),
    st.sampled_from(("", "", "Patient/A/", "Patient/B/")),
    _observation_queries,
)
_search_requests = st.one_of(
    st.builds("GET /{}{}".format, _types, _queries),
    st.builds("GET /{}/{}/{}{}".format, st.sampled_from(("Patient", "Practitioner")), _ids, _types, _queries),
    st.builds("GET /{}/{}/*{}".format, st.sampled_from(("Patient", "Practitioner")), _ids, _queries),
    st.builds("GET /{}".format, _queries),
)
_other_requests = st.one_of(
    st.builds("GET /{}/{}{}".format, _types, _ids, _queries_of(("_summary", "_elements"))),
    st.builds("HEAD /{}/{}".format, _types, _ids),
    st.builds("GET /{}/{}/_history{}".format, _types, _ids, _queries_of(("_count", "_since", "_at"))),
    st.builds("GET /{}/{}/_history/{}".format, _types, _ids, _ids),
    st.builds("GET /{}/_history{}".format, _types, _queries_of(("_count", "_since", "_at"))),
    st.builds("GET /_history{}".format, _queries_of(("_count", "_type"))),
    st.builds("{} /{}/{}".format, st.sampled_from(("PUT", "PATCH", "DELETE")), _types, _ids),
    st.builds("POST /{}".format, _types),
    st.builds(
        "GET /{}$export{}".format,
        st.sampled_from(("", "Patient/", "Group/g/")),
        _queries_of(("_type", "_since", "_elements", "_typeFilter")),
    ),
)
_operation_requests = st.builds(
    "{} /{}${}{}".format,
    st.sampled_from(("GET", "POST")),
    st.one_of(st.just(""), _types.map("{}/".format), st.builds("{}/{}/".format, _types, _ids)),
    st.sampled_from(_OPERATIONS),
    _queries_of(_OF_OPERATIONS),
)
_constraints = st.builds(
    Constraint,
    st.sampled_from(("category", "code", "status", "_id", "subject", "date", "_type", "patient")),
    st.none(),
    st.sampled_from(("laboratory", "http://c|lab", "final", "A", "Patient/A", "ge2024-01-01", "Observation")),
)
_scopes = st.builds(
    ResourceScope,
    st.sampled_from(Context),
    st.sampled_from(("*", *_TYPES)),
    st.frozensets(st.sampled_from(Letter), min_size=1),
    st.lists(_constraints, max_size=2).map(tuple),
)
_STRONG = ("patient/*.cruds", "user/*.cruds", "system/*.rs", "patient/Observation.rs?category=laboratory", "user/*.rs")
_granted = st.one_of(
    st.sampled_from(_STRONG).map(lambda text: parse_scopes(text).scopes),
    st.lists(_scopes, min_size=1, max_size=3).map(lambda scopes: parse_scopes(format_scopes(scopes)).scopes),
)
_identities = st.sampled_from(((), (IdentityScope("openid"), IdentityScope("fhirUser"))))
_users = st.sampled_from((None, "Patient/A", "Practitioner/p", "RelatedPerson/A", "Person/x"))
_undeclared = st.dictionaries(
    st.sampled_from(_TYPES), st.frozensets(st.sampled_from(("patient", "subject", "code", "category"))), max_size=3
)
_rules = st.builds(
    Rules,
    st.just(PUBLIC),
    st.just(UPSTREAM),
    membership=st.sampled_from(MembershipMode),
    practitioner_reach=st.sampled_from(PractitionerReach),
    search_without_narrowing=st.sampled_from(UnnarrowedSearch),
    searchable_shared_types=st.sampled_from((frozenset(), frozenset({"Practitioner"}))),
    compartment_search=st.booleans(),
    max_owners_per_search=st.sampled_from((1, 200)),
    operations=st.just(operation_rules({})),
    unsupported_parameters=_undeclared,
    has_capability_statement=st.booleans(),
    writes=st.builds(
        WriteRules,
        allow=st.sampled_from((True, True, False)),
        never=st.sampled_from((frozenset(), frozenset({"Encounter"}))),
    ),
    conditional_delete_types=st.sampled_from((frozenset(), frozenset({"Observation"}))),
    exports=st.builds(ExportRules, st.booleans(), st.booleans(), st.booleans()),
)
_facts = st.one_of(
    st.just(UserFacts()),
    st.frozensets(st.sampled_from(("A", "B", "C", "D")), max_size=3).map(
        lambda ids: UserFacts(CompartmentSet("Patient", ids))
    ),
)


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """What any token grants under any rules."""
    scopes = (*draw(_identities), *draw(_granted))
    user = draw(_users)
    access = Access(
        "https://issuer.example",
        "app",
        "someone",
        scopes,
        0.0,
        patient=draw(st.sampled_from(("A", "A", "id-1", None))),
        user=None if user is None else Reference(*user.split("/")),
    )
    return Grant(access, draw(_rules), draw(_facts))


@settings(max_examples=400)
@given(
    st.one_of(_observation_requests, _search_requests, _other_requests, _operation_requests),
    st.sampled_from(_BODIES),
    grants(),
)
def test_a_request_is_decided_again_as_it_was(request: str, body: bytes, grant: Grant) -> None:
    body = body if request.startswith("POST") and "$" in request else b""
    try:
        recorded = record(request, grant, body)
    except RequestError:
        return
    replayed = replay(recorded, grant.rules)
    if isinstance(replayed, Undecidable):
        assert recorded.decision is None or recorded.arguments, replayed
        return
    assert replayed_reason(recorded, grant.rules) is recorded.decision, recorded
    again = replay(recorded, grant.rules)
    assert isinstance(again, Replayed)
    assert describe_outcome(replayed) == describe_outcome(again)
