"""The claims of a verified token: which are used, which are ignored, and which make the token unusable."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.reference import Reference
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.reasons import Reason
from gateway.scopes.model import IdentityScope, ResourceScope
from gateway.scopes.parse_scopes import MAX_STRING_LENGTH, parse_scopes

PUBLIC, UPSTREAM = "https://gateway.example/fhir", "http://hapi:8080/fhir"
BASES = (PUBLIC, UPSTREAM)
MISSING, INVALID = Reason.PATIENT_CONTEXT_MISSING, Reason.PATIENT_CONTEXT_INVALID


def read_access(mapping: ClaimMapping | None = None, **changes: Any) -> Access:
    """The access that is read from usual claims with `changes`. A claim of None is left out."""
    claims = {
        "iss": "https://issuer.example",
        "sub": "someone",
        "client_id": "app",
        "exp": 1000,
        "scope": "patient/*.rs",
        "patient": "pat-a",
        **changes,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return access_from_claims(given, mapping or ClaimMapping(), BASES)


def test_the_usual_claims() -> None:
    assert read_access(fhirUser="Practitioner/1") == Access(
        issuer="https://issuer.example",
        client_id="app",
        subject="someone",
        scopes=parse_scopes("patient/*.rs").scopes,
        expires_at=1000.0,
        patient="pat-a",
        user=Reference("Practitioner", "1"),
        scope_text="patient/*.rs",
    )


PATIENTS: dict[str, tuple[Any, str | None, Reason | None]] = {
    "an id": ("pat-a", "pat-a", None),
    "an id with every letter an id may have": ("A-z.09", "A-z.09", None),
    "an id of 64 letters": ("a" * 64, "a" * 64, None),
    "a reference": ("Patient/pat-a", "pat-a", None),
    "an id that reads like a type": ("Patient", "Patient", None),
    "nothing": (None, None, MISSING),
    "an empty text": ("", None, INVALID),
    "a reference without an id": ("Patient/", None, INVALID),
    "a reference to a reference": ("Patient/Patient/pat-a", None, INVALID),
    "a type in lower case": ("patient/pat-a", None, INVALID),
    "another type": ("Group/1", None, INVALID),
    "a version": ("Patient/pat-a/_history/1", None, INVALID),
    "an absolute URL below our base": (f"{PUBLIC}/Patient/pat-a", None, INVALID),
    "the folder above": ("..", None, INVALID),
    "the folder above, as a reference": ("Patient/..", None, INVALID),
    "this folder": (".", None, INVALID),
    "a way up": ("../pat-b", None, INVALID),
    "an id of 65 letters": ("a" * 65, None, INVALID),
    "two ids": ("pat-a,pat-b", None, INVALID),
    "two ids with a space": ("pat-a pat-b", None, INVALID),
    "a list of one": (["pat-a"], None, INVALID),
    "a list of two": (["pat-a", "pat-b"], None, INVALID),
    "a number": (7, None, INVALID),
    "false": (False, None, INVALID),
    "an object": ({"id": "pat-a"}, None, INVALID),
    "a query": ("pat-a?x=y", None, INVALID),
    "an escape": ("pat%2da", None, INVALID),
    "a line break at the end": ("pat-a\n", None, INVALID),
    "a letter that only looks like one": ("pаt-a", None, INVALID),  # noqa: RUF001
    "digits of another script": ("٣", None, INVALID),
    "everybody": ("*", None, INVALID),
}


@pytest.mark.parametrize(("claim", "patient", "problem"), PATIENTS.values(), ids=PATIENTS.keys())
def test_patient(claim: Any, patient: str | None, problem: Reason | None) -> None:
    access = read_access(patient=claim)
    assert (access.patient, access.patient_problem) == (patient, problem)


USERS: dict[str, tuple[Any, Reference | None]] = {
    "a Practitioner": ("Practitioner/1", Reference("Practitioner", "1")),
    "a PractitionerRole": ("PractitionerRole/1", Reference("PractitionerRole", "1")),
    "a Patient": ("Patient/1", Reference("Patient", "1")),
    "a RelatedPerson": ("RelatedPerson/1", Reference("RelatedPerson", "1")),
    "a Person": ("Person/1", Reference("Person", "1")),
    "below our base": (f"{PUBLIC}/Practitioner/1", Reference("Practitioner", "1")),
    "below the upstream's base": (f"{UPSTREAM}/Practitioner/1", Reference("Practitioner", "1")),
    "nothing": (None, None),
    "an Organization": ("Organization/1", None),
    "below another base": ("https://elsewhere.example/fhir/Practitioner/1", None),
    "below a base that begins like ours": (f"{PUBLIC}2/Practitioner/1", None),
    "below our base, further down": (f"{PUBLIC}/x/Practitioner/1", None),
    "below our base by another scheme": (PUBLIC.replace("https", "http") + "/Practitioner/1", None),
    "a version": ("Practitioner/1/_history/2", None),
    "an id alone": ("1", None),
    "the folder above": ("Practitioner/..", None),
    "a contained resource": ("#practitioner", None),
    "a urn": ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", None),
    "a list": (["Practitioner/1"], None),
    "a number": (1, None),
    "a query": ("Practitioner/1?x=y", None),
    "a line break at the end": ("Practitioner/1\n", None),
}


@pytest.mark.parametrize(("claim", "user"), USERS.values(), ids=USERS.keys())
def test_user(claim: Any, user: Reference | None) -> None:
    assert read_access(fhirUser=claim).user == user


FILLED = ClaimMapping(patient_from_fhir_user=True)


@pytest.mark.parametrize(
    ("mapping", "patient", "user", "expected"),
    [
        (ClaimMapping(), None, "Patient/pat-a", (None, MISSING)),
        (FILLED, None, "Patient/pat-a", ("pat-a", None)),
        (FILLED, None, f"{PUBLIC}/Patient/pat-a", ("pat-a", None)),
        (FILLED, None, "https://elsewhere.example/Patient/pat-a", (None, MISSING)),
        (FILLED, None, "Practitioner/1", (None, MISSING)),
        (FILLED, None, "RelatedPerson/1", (None, MISSING)),
        (FILLED, "pat-b", "Patient/pat-a", ("pat-b", None)),
        (FILLED, ["pat-b"], "Patient/pat-a", (None, INVALID)),
        (FILLED, "", "Patient/pat-a", (None, INVALID)),
    ],
)
def test_a_missing_patient_is_filled_from_the_user_only_where_the_issuer_says_so(
    mapping: ClaimMapping, patient: Any, user: str, expected: tuple[str | None, Reason | None]
) -> None:
    access = read_access(mapping, patient=patient, fhirUser=user)
    assert (access.patient, access.patient_problem) == expected


SCOPES: dict[str, tuple[Any, str]] = {
    "a text": ("openid patient/*.rs", "openid patient/*.rs"),
    "a list": (["openid", "patient/*.rs"], "openid patient/*.rs"),
    "a list with what is no text": (["openid", 1, None, ["patient/*.cruds"]], "openid"),
    "nothing": (None, ""),
    "an object": ({"patient/*.cruds": True}, ""),
    "a number": (1, ""),
    "text with spaces to spare": ("openid  patient/*.rs ", "openid  patient/*.rs "),
}


@pytest.mark.parametrize(("claim", "text"), SCOPES.values(), ids=SCOPES.keys())
def test_scope(claim: Any, text: str) -> None:
    access = read_access(scope=claim)
    assert access.scope_text == text
    assert access.scopes == parse_scopes(text).scopes


def test_a_scope_that_is_not_valid_grants_nothing_and_the_others_stay() -> None:
    text = "openid patient/Observation.rss patient/observation.rs patient/Foo.rs user/Patient.r"
    access = read_access(scope=text)
    assert access.scope_text == text
    assert access.scopes[0] == IdentityScope("openid")
    assert [scope.resource_type for scope in access.scopes if isinstance(scope, ResourceScope)] == ["Patient"]


def test_a_tab_or_a_line_break_divides_no_scopes() -> None:
    assert read_access(scope="patient/Patient.r\tpatient/Observation.rs\npatient/Condition.rs").scopes == ()


def test_a_text_that_is_too_long_grants_nothing_at_all() -> None:
    assert read_access(scope="patient/*.rs " + "x" * MAX_STRING_LENGTH).scopes == ()


def test_an_escaped_slash_is_a_slash_only_where_the_issuer_says_so() -> None:
    assert read_access(scope="patient%2F*.rs").scopes == ()
    entra = ClaimMapping(decode_scope_slash=True)
    access = read_access(entra, scope="patient%2F*.rs")
    assert access.scopes == parse_scopes("patient/*.rs").scopes
    assert access.scope_text == "patient%2F*.rs"


NAMES: dict[str, tuple[ClaimMapping, dict[str, Any], str | None]] = {
    "further in": (ClaimMapping(patient=("smart.patient",)), {"smart": {"patient": "pat-b"}}, "pat-b"),
    "two steps in": (ClaimMapping(patient=("a.b.c",)), {"a": {"b": {"c": "pat-b"}}}, "pat-b"),
    "a URL with dots": (
        ClaimMapping(patient=("https://issuer.example/patient",)),
        {"https://issuer.example/patient": "pat-b"},
        "pat-b",
    ),
    "the whole name before its parts": (
        ClaimMapping(patient=("a.b",)),
        {"a.b": "pat-b", "a": {"b": "pat-c"}},
        "pat-b",
    ),
    "the first that is there": (ClaimMapping(patient=("one", "two")), {"two": "pat-b"}, "pat-b"),
    "the first of those that are there": (
        ClaimMapping(patient=("one", "two")),
        {"two": "pat-b", "one": "pat-c"},
        "pat-c",
    ),
    "through a text": (ClaimMapping(patient=("sub.patient",)), {}, None),
    "through a list": (ClaimMapping(patient=("a.0",)), {"a": ["pat-b"]}, None),
    "none of the names": (ClaimMapping(patient=("one",)), {}, None),
}


@pytest.mark.parametrize(("mapping", "claims", "patient"), NAMES.values(), ids=NAMES.keys())
def test_names_of_claims(mapping: ClaimMapping, claims: dict[str, Any], patient: str | None) -> None:
    assert read_access(mapping, **claims).patient == patient


def test_an_invalid_first_claim_is_not_mended_by_a_second() -> None:
    mapping = ClaimMapping(patient=("one", "two"))
    assert read_access(mapping, one=["pat-a", "pat-b"], two="pat-a").patient_problem is INVALID


@pytest.mark.parametrize(("name", "issuer"), [("client_id", "any"), ("azp", "Keycloak"), ("appid", "Entra ID")])
def test_the_client_by_the_names_that_issuers_use(name: str, issuer: str) -> None:
    claims: dict[str, Any] = {"client_id": None, name: f"app of {issuer}"}
    assert read_access(**claims).client_id == f"app of {issuer}"


USELESS: dict[str, tuple[dict[str, Any], str]] = {
    "no exp": ({"exp": None}, "exp"),
    "exp a text": ({"exp": "1000"}, "exp"),
    "exp true": ({"exp": True}, "exp"),
    "exp below zero": ({"exp": -1}, "exp"),
    "exp in milliseconds": ({"exp": 1_800_000_000_000}, "exp"),
    "exp without end": ({"exp": float("inf")}, "exp"),
    "exp no number": ({"exp": float("nan")}, "exp"),
    "exp larger than any float": ({"exp": 10**400}, "exp"),
    "no issuer": ({"iss": None}, "iss"),
    "issuer a list": ({"iss": ["https://issuer.example"]}, "iss"),
    "no client": ({"client_id": None}, "client_id"),
    "an empty client": ({"client_id": ""}, "client_id"),
    "client a number": ({"client_id": 1}, "client_id"),
}


@pytest.mark.parametrize(("changes", "claim"), USELESS.values(), ids=USELESS.keys())
def test_a_claim_without_which_the_token_is_useless_is_named(changes: dict[str, Any], claim: str) -> None:
    with pytest.raises(ClaimsError) as caught:
        read_access(**changes)
    assert caught.value.claim == claim
    assert str(caught.value).startswith(f"{claim}: ")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, True),
        ({"azp": "app"}, True),
        ({"azp": None}, True),
        ({"azp": "another"}, False),
        ({"appid": ["app"]}, False),
        ({"cid": {}}, False),
        ({"client": "another"}, True),
    ],
)
def test_a_token_may_name_two_clients(claims: dict[str, Any], *, expected: bool) -> None:
    access = read_access(client_id="app", **claims)
    assert (access.client_id, access.names_one_client) == ("app", expected)


def test_a_subject_that_is_no_text_is_no_subject() -> None:
    assert read_access(sub=["someone"]).subject is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "sub", "client_id", "exp", "scope", "patient", "fhirUser", "a"]), JSON)


@given(CLAIMS, st.booleans())
def test_any_claims_are_an_access_or_an_error_that_names_a_claim(claims: dict[str, Any], fill: bool) -> None:
    usual = {"iss": "https://issuer.example", "client_id": "app", "exp": 1000}
    mapping = ClaimMapping(patient=("patient", "a.b"), patient_from_fhir_user=fill)
    try:
        access = access_from_claims({**usual, **claims}, mapping, BASES)
    except ClaimsError as error:
        assert error.claim in {"iss", "exp", "client_id"}
        return
    assert (access.patient is None) == (access.patient_problem is not None)
    assert access.patient is None or "/" not in access.patient
