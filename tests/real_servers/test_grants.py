"""Tokens of patients, users and systems: what they find, what is refused, and what is counted."""

from dataclasses import dataclass

import pytest

from tests.proxy.leaked_marks import refusal_reason
from tests.real_servers.gateway_requests import A_APP, Gateways, TokenGrant
from tests.real_servers.searches import LABS, MRN, OBSERVATIONS_ALONE
from tests.real_servers.servers_under_test import Feature
from tests.real_servers.stored_resources import (
    Condition,
    about,
    by_practitioner,
    categorised,
    named,
    nothing,
    of_type,
)
from tests.servers.people import B_MARKER, CONFIDENTIALITY, OBSERVATION_CATEGORY, PATIENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class User:
    """A token, a search, and what it finds."""

    sentence: str
    grant: TokenGrant
    path: str
    finds: Condition
    needs: Feature | None = None


NOTHING_HIDDEN: tuple[str, ...] = ()
DOCTOR = {"fhirUser": "Practitioner/practitioner-1", "patient": None}
PANEL = PATIENTS[::3]
A_OBSERVATIONS, OBSERVATIONS = of_type("Observation", about("pat-a")), of_type("Observation")

USERS = (
    User(
        "the patient himself",
        TokenGrant("user/*.rs", {"fhirUser": "Patient/pat-a", "patient": None}),
        "/Observation",
        A_OBSERVATIONS,
    ),
    User(
        "a relative of the patient",
        TokenGrant("user/*.rs", {"fhirUser": "RelatedPerson/pat-a-relative", "patient": None}),
        "/Observation",
        A_OBSERVATIONS,
    ),
    User(
        "a parent of two patients",
        TokenGrant("user/*.rs", {"fhirUser": "RelatedPerson/pat-a-relative", "patient": None}, reach="family"),
        "/Observation?_count=1000",
        of_type("Observation", about("pat-a", "pat-3")),
    ),
    User(
        "a parent of two patients, of the other child",
        TokenGrant("user/*.rs", {"fhirUser": "RelatedPerson/pat-a-relative", "patient": None}, reach="family"),
        "/Observation?patient=Patient/pat-3",
        of_type("Observation", about("pat-3")),
    ),
    User(
        "a practitioner who sees all",
        TokenGrant("user/*.rs", DOCTOR, marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        OBSERVATIONS,
    ),
    User(
        "a practitioner who sees all, of one category",
        TokenGrant(f"user/Observation.rs?category={OBSERVATION_CATEGORY}|social-history", DOCTOR, marks=NOTHING_HIDDEN),
        "/Observation",
        of_type("Observation", categorised(f"{OBSERVATION_CATEGORY}|social-history")),
    ),
    User(
        "a practitioner held to a practice",
        TokenGrant("user/*.rs", DOCTOR, reach="practice"),
        "/Observation",
        of_type("Observation", by_practitioner("practitioner-1")),
    ),
    User(
        "a practitioner's role, held to the practice",
        TokenGrant("user/*.rs", {"fhirUser": "PractitionerRole/role-1", "patient": None}, reach="practice"),
        "/Observation",
        of_type("Observation", by_practitioner("practitioner-1")),
    ),
    User(
        "a practitioner held to a practice, by a patient of it",
        TokenGrant("user/*.rs", DOCTOR, reach="practice"),
        "/Observation?patient=Patient/pat-b",
        nothing,
    ),
    User(
        "a patient's app held to restricted records",
        TokenGrant(f"patient/Observation.rs?_security={CONFIDENTIALITY}|R"),
        "/Observation",
        named("Observation/pat-a-restricted"),
    ),
    User(
        "a wildcard with a constraint",
        TokenGrant(f"patient/*.rs?category={OBSERVATION_CATEGORY}|survey"),
        "/Observation",
        of_type("Observation", about("pat-a"), categorised(f"{OBSERVATION_CATEGORY}|survey")),
    ),
    User(
        "a practitioner with a panel",
        TokenGrant("user/*.rs", DOCTOR, reach="panel"),
        "/Observation?_count=1000",
        of_type("Observation", about(*PANEL)),
    ),
    User(
        "a practitioner with a panel by appointments and groups",
        TokenGrant("user/*.rs", DOCTOR, reach="visits"),
        "/Observation?_count=1000",
        of_type("Observation", about(*PANEL)),
    ),
    User(
        "a patient's app where restricted records need more",
        TokenGrant("patient/*.rs", reach="labels"),
        "/Observation?_count=1000",
        of_type("Observation", about("pat-a"), lambda record: record["id"] != "pat-a-restricted"),
    ),
    User(
        "a system where restricted records need more",
        TokenGrant("system/*.rs", {"patient": None}, reach="labels", marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        of_type("Observation", lambda record: not record["id"].endswith("-restricted")),
    ),
    User(
        "a practitioner where restricted records need more",
        TokenGrant("user/*.rs", DOCTOR, reach="labels", marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        OBSERVATIONS,
    ),
    User(
        "a system",
        TokenGrant("system/*.rs", {"patient": None}, marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        OBSERVATIONS,
    ),
    User(
        "a system, of one type",
        TokenGrant("system/Patient.rs", {"patient": None}, marks=NOTHING_HIDDEN),
        "/Patient?_count=1000",
        of_type("Patient"),
    ),
    User(
        "a patient's app beside a user's own",
        TokenGrant("patient/Observation.rs user/Observation.rs", {"fhirUser": "Patient/pat-3"}),
        "/Observation",
        of_type("Observation", about("pat-a", "pat-3")),
    ),
)


@pytest.mark.requirement("SC-18", "SC-26", "SC-28", "SC-29", "G-2")
@pytest.mark.parametrize("user", USERS, ids=[user.sentence for user in USERS])
async def test_a_user_finds(gateways: Gateways, user: User) -> None:
    responses = await gateways.follow_pages(user.path, user.grant)
    if user.needs in gateways.upstream.lacks:
        assert responses[0].status_code == 400
        return
    assert [response.status_code for response in responses] == [200] * len(responses)
    assert gateways.found_names(responses) == gateways.expected_names(user.finds)


async def test_a_system_reads_and_streams_everything(gateways: Gateways) -> None:
    """A response that is not judged has no URL of the server either (see `Gateways.request`)."""
    system = TokenGrant("system/*.rs", {"patient": None}, marks=NOTHING_HIDDEN)
    for path in ("/Patient/pat-b", "/Observation/pat-b-smoking", "/Binary/pat-a-binary", "/Observation/pat-b/_history"):
        response = await gateways.request(path, system)
        assert response.status_code in ({200, 404} if "_history" in path else {200}), path
    assert B_MARKER in (await gateways.request("/Patient/pat-b", system)).text


HAS_PERFORMED = "_has:Observation:performer:code=x"

REFUSED = (
    ("another type", "/Condition", TokenGrant("patient/Observation.rs"), "scope_insufficient"),
    ("a search with the letter r alone", "/Observation", TokenGrant("patient/Observation.r"), "scope_insufficient"),
    (
        "a read with the letter s",
        "/Observation/pat-a-smoking",
        TokenGrant("patient/Observation.s"),
        "scope_insufficient",
    ),
    (
        "a relative whom nobody knows",
        "/Observation",
        TokenGrant("user/*.rs", {"fhirUser": "RelatedPerson/nobody", "patient": None}),
        "user_reach_unknown",
    ),
    ("no patient", "/Observation", TokenGrant("patient/*.rs", {"patient": None}), "patient_context_missing"),
    (
        "two patients",
        "/Observation",
        TokenGrant("patient/*.rs", {"patient": ["pat-a", "pat-b"]}),
        "patient_context_invalid",
    ),
    ("a person", "/Patient", TokenGrant("user/*.rs", {"fhirUser": "Person/1", "patient": None}), "user_reach_unknown"),
    ("a constraint on another type", "/Condition", LABS, "scope_insufficient"),
    ("the whole compartment", "/Patient/pat-a/*", A_APP, "interaction_not_supported"),
    ("a shared type, searched", "/Practitioner?name=Doctor", A_APP, "search_by_id_only"),
    ("a chain through a shared type", "/Observation?performer.identifier=x", A_APP, "parameter_out_of_reach"),
    (
        "a chain out of scope",
        f"/Observation?patient.identifier={MRN}pat-b",
        OBSERVATIONS_ALONE,
        "parameter_out_of_reach",
    ),
    ("a chain back to what is shared", f"/Practitioner?_id=x&{HAS_PERFORMED}", A_APP, "parameter_out_of_reach"),
    ("a chain back against a constraint", "/Patient?_has:Observation:patient:code=x", LABS, "parameter_out_of_reach"),
    ("sorting by a chain", "/Observation?_sort=performer.name", A_APP, None),
    ("a query language", "/Observation?_filter=patient eq pat-b", A_APP, "parameter_refused"),
    ("a list", "/Observation?_list=pat-b-list", A_APP, "parameter_refused"),
    ("a text index", "/Observation?_content=secret", A_APP, "parameter_refused"),
    ("an operation", "/Patient/pat-a/$graphql", A_APP, "operation_not_allowed"),
    ("an operation on the type", "/Observation/$lastn?patient=pat-a", A_APP, "operation_not_allowed"),
)


@pytest.mark.requirement("SC-3", "SC-5", "SC-27")
@pytest.mark.parametrize(("path", "grant", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_it_is_refused(gateways: Gateways, path: str, grant: TokenGrant, reason: str | None) -> None:
    response = await gateways.request(path, grant)
    assert response.status_code in {400, 403}
    assert reason is None or (response.status_code, refusal_reason(response)) == (403, reason)


async def test_a_count_is_of_what_may_be_seen(gateways: Gateways) -> None:
    """There is a count only where narrowing is exact (leak_19)."""
    own = len(gateways.expected_names(A_OBSERVATIONS))
    labs = TokenGrant(f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory")
    of_labs = len(
        gateways.expected_names(
            of_type("Observation", about("pat-a"), categorised(f"{OBSERVATION_CATEGORY}|laboratory"))
        )
    )
    for grant, expected in ((A_APP, own), (labs, of_labs)):
        for query in (
            "_summary=count",
            "_count=0",
            "_total=accurate&_count=1",
            "patient=Patient/pat-a,Patient/pat-b&_summary=count",
        ):
            response = await gateways.request(f"/Observation?{query}", grant)
            assert (response.status_code, response.json().get("total", expected)) == (200, expected), query
    across = TokenGrant(
        f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory user/Observation.rs",
        {"fhirUser": "Patient/pat-3"},
    )
    refused = await gateways.request("/Observation?_summary=count", across)
    assert (refused.status_code, refusal_reason(refused)) == (403, "count_not_exact")


async def test_another_grants_page_is_not_found(gateways: Gateways) -> None:
    """A paging link works only with the grant that it was issued for (leak_07)."""
    if Feature.PAGES in gateways.upstream.lacks:
        pytest.skip("This server answers one page.")
    first = await gateways.request("/Observation?_count=3")
    following = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    for other in (
        TokenGrant("patient/*.r patient/*.s"),
        TokenGrant(claims={"patient": "pat-3"}),
        TokenGrant(claims={"sub": "else"}),
    ):
        response = await gateways.request(following, other)
        assert (response.status_code, refusal_reason(response)) == (404, "page_unknown")
    assert (await gateways.request(following)).status_code == 200


async def test_the_users_find_something(gateways: Gateways) -> None:
    """Otherwise, the test above could compare empty results."""
    for user in USERS:
        assert user.finds is nothing or gateways.expected_names(user.finds), user.sentence
