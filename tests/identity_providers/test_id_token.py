"""The user that the claims of a provider describe: FHIR resource, name, and subject."""

from typing import Any

import pytest

from gateway.settings.authorization.smart_server import IdentityProvider
from gateway.smart_server.openid_provider.id_token import read_user

BASES = ("https://fhir.example.org/r4", "http://hapi.internal:8080/fhir")
PROVIDER = IdentityProvider.model_validate(
    {
        "name": "Clinic",
        "issuer": "https://login.example.org",
        "client_id": "gateway",
        "client_secret": "secret",
        "scopes": "openid",
        "name_claim": "name",
        "fhir_user_claim": "fhirUser",
    }
)

OWN = {
    "relative": "Practitioner/practitioner-1",
    "absolute, below our own base": "https://fhir.example.org/r4/Practitioner/practitioner-1",
    "absolute, below the base of the FHIR server": "http://hapi.internal:8080/fhir/Practitioner/practitioner-1",
    "the only one of a list": ["Practitioner/practitioner-1"],
}


@pytest.mark.parametrize("claim", OWN.values(), ids=OWN.keys())
def test_a_resource_of_this_server_is_the_users_own(claim: Any) -> None:
    assert read_user({"sub": "dora", "fhirUser": claim}, PROVIDER, BASES).fhir_user == "Practitioner/practitioner-1"


@pytest.mark.parametrize("resource_type", ["Patient", "PractitionerRole", "RelatedPerson", "Person"])
def test_each_type_that_can_be_a_user_is_accepted(resource_type: str) -> None:
    assert (
        read_user({"sub": "dora", "fhirUser": f"{resource_type}/1"}, PROVIDER, BASES).fhir_user == f"{resource_type}/1"
    )


NOBODYS: dict[str, Any] = {
    "below another base": "https://elsewhere.example/r4/Practitioner/1",
    "below a base that begins like ours": "https://fhir.example.org/r4x/Practitioner/1",
    "below ours by another scheme": "http://fhir.example.org/r4/Practitioner/1",
    "below a host that ends like ours": "https://x@fhir.example.org/r4/Practitioner/1",
    "of a type that is no user": "Organization/1",
    "of a type in lower case": "practitioner/1",
    "up and down again": "Practitioner/../Patient/pat-a",
    "up and down again below our base": "https://fhir.example.org/r4/../r4/Patient/pat-a",
    "up alone": "Patient/..",
    "encoded": "Patient/%70at-a",
    "with a query": "Patient/pat-a?x=y",
    "with a fragment": "Patient/pat-a#x",
    "with a slash more": "Patient//pat-a",
    "with a slash at its end": "Patient/pat-a/",
    "with a line break": "Patient/pat-a\n",
    "a version": "Patient/pat-a/_history/1",
    "an id alone": "pat-a",
    "an id that is too long": f"Patient/{'x' * 65}",
    "urn": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "contained": "#Patient/pat-a",
    "empty": "",
    "a number": 7,
    "an object": {"reference": "Patient/pat-a"},
    "a list of two": ["Patient/pat-a", "Patient/pat-b"],
    "an empty list": [],
    "a list in a list": [["Patient/pat-a"]],
    "nothing": None,
}


@pytest.mark.parametrize("claim", NOBODYS.values(), ids=NOBODYS.keys())
def test_anything_else_is_nobodys(claim: Any) -> None:
    user = read_user({"sub": "dora", "fhirUser": claim}, PROVIDER, BASES)
    assert (user.fhir_user, user.patient) == (None, None)


NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "the configured claim first": ({"name": "Dora", "preferred_username": "dd"}, "Dora"),
    "then the user name": ({"preferred_username": "dd"}, "dd"),
    "the subject where there is neither": ({}, "dora"),
    "never an empty one": ({"name": " ", "preferred_username": ""}, "dora"),
    "never an object": ({"name": {"given": "Dora"}}, "dora"),
    "never a longer one than a page can show": ({"name": "x" * 1000}, "x" * 200),
}


@pytest.mark.parametrize(("claims", "name"), NAMES.values(), ids=NAMES.keys())
def test_a_user_is_called_by(claims: dict[str, Any], name: str) -> None:
    assert read_user({"sub": "dora", **claims}, PROVIDER, BASES).name == name


def test_an_operator_names_the_claims() -> None:
    told = IdentityProvider.model_validate(
        {
            "name": "Entra",
            "issuer": "https://i",
            "client_id": "gateway",
            "client_secret": "secret",
            "scopes": "openid",
            "name_claim": "given_name",
            "fhir_user_claim": "extn.fhirUser",
        }
    )
    claims = {"sub": "dora", "given_name": "Dora", "extn.fhirUser": ["Patient/pat-a"], "fhirUser": "Patient/pat-b"}
    user = read_user(claims, told, BASES)
    assert (user.name, user.patient) == ("Dora", "pat-a")


def test_people_of_the_same_name_at_two_providers_are_two() -> None:
    other = IdentityProvider.model_validate(
        {
            "name": "Other",
            "issuer": "https://other.example",
            "client_id": "gateway",
            "client_secret": "secret",
            "scopes": "openid",
            "name_claim": "name",
            "fhir_user_claim": "fhirUser",
        }
    )
    subjects = {read_user({"sub": sub}, told, BASES).subject for sub in ("dora", "otto") for told in (PROVIDER, other)}
    assert len(subjects) == 4
    assert all(len(subject) <= 255 and subject.isascii() for subject in subjects)


@pytest.mark.parametrize(
    ("name", "claims", "roles"),
    [
        ("roles", {"roles": ["b", "a", 7, "a"]}, ("a", "b")),
        ("roles", {"roles": "a"}, ("a",)),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, ("a",)),
        ("roles", {"groups": ["a"]}, ()),
        ("roles", {"roles": {"a": True}}, ()),
        (None, {"roles": ["a"]}, ()),
    ],
    ids=["a list", "one", "within another claim", "another claim", "no list", "no claim configured"],
)
def test_roles_are_those_of_the_configured_claim(
    name: str | None, claims: dict[str, object], roles: tuple[str, ...]
) -> None:
    provider = PROVIDER.model_copy(update={"roles_claim": name})
    assert read_user({"sub": "dora", **claims}, provider, BASES).roles == roles
