"""Grants: users of every kind, systems, counts, and what a scope does not reach."""

from dataclasses import dataclass

import pytest

from tests.gateway.marks import reason_of
from tests.servers.people import B_MARKER, CONFIDENTIALITY, OBSERVATION_CATEGORY, PATIENTS
from tests.upstreams.asking import A, Front, Grant
from tests.upstreams.searches import LABS, MRN, OBSERVATIONS_ALONE
from tests.upstreams.stored import (
    Where,
    about,
    by_practitioner,
    categorised,
    named,
    nothing,
    of_type,
)
from tests.upstreams.upstream import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class User:
    """A token, what it finds by a search, and the marks of what it may not see."""

    sentence: str
    grant: Grant
    path: str
    finds: Where
    needs: Feature | None = None


NOTHING_HIDDEN: tuple[str, ...] = ()
DOCTOR = {"fhirUser": "Practitioner/practitioner-1", "patient": None}
PANEL = PATIENTS[::3]
A_OBSERVATIONS, OBSERVATIONS = of_type("Observation", about("pat-a")), of_type("Observation")

USERS = (
    User(
        "the patient himself",
        Grant("user/*.rs", {"fhirUser": "Patient/pat-a", "patient": None}),
        "/Observation",
        A_OBSERVATIONS,
    ),
    User(
        "a relative of the patient",
        Grant("user/*.rs", {"fhirUser": "RelatedPerson/pat-a-relative", "patient": None}),
        "/Observation",
        A_OBSERVATIONS,
    ),
    User(
        "a practitioner who sees all",
        Grant("user/*.rs", DOCTOR, marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        OBSERVATIONS,
    ),
    User(
        "a practitioner who sees all, of one category",
        Grant(f"user/Observation.rs?category={OBSERVATION_CATEGORY}|social-history", DOCTOR, marks=NOTHING_HIDDEN),
        "/Observation",
        of_type("Observation", categorised(f"{OBSERVATION_CATEGORY}|social-history")),
    ),
    User(
        "a practitioner held to a practice",
        Grant("user/*.rs", DOCTOR, reach="practice"),
        "/Observation",
        of_type("Observation", by_practitioner("practitioner-1")),
    ),
    User(
        "a practitioner's role, held to the practice",
        Grant("user/*.rs", {"fhirUser": "PractitionerRole/role-1", "patient": None}, reach="practice"),
        "/Observation",
        of_type("Observation", by_practitioner("practitioner-1")),
    ),
    User(
        "a practitioner held to a practice, by a patient of it",
        Grant("user/*.rs", DOCTOR, reach="practice"),
        "/Observation?patient=Patient/pat-b",
        nothing,
    ),
    User(
        "a patient's app held to restricted records",
        Grant(f"patient/Observation.rs?_security={CONFIDENTIALITY}|R"),
        "/Observation",
        named("Observation/pat-a-restricted"),
    ),
    User(
        "a wildcard with a constraint",
        Grant(f"patient/*.rs?category={OBSERVATION_CATEGORY}|survey"),
        "/Observation",
        of_type("Observation", about("pat-a"), categorised(f"{OBSERVATION_CATEGORY}|survey")),
    ),
    User(
        "a practitioner with a panel",
        Grant("user/*.rs", DOCTOR, reach="panel"),
        "/Observation?_count=1000",
        of_type("Observation", about(*PANEL)),
        needs=Feature.CARE_TEAMS,
    ),
    User(
        "a system",
        Grant("system/*.rs", {"patient": None}, marks=NOTHING_HIDDEN),
        "/Observation?_count=1000",
        OBSERVATIONS,
    ),
    User(
        "a system, of one type",
        Grant("system/Patient.rs", {"patient": None}, marks=NOTHING_HIDDEN),
        "/Patient?_count=1000",
        of_type("Patient"),
    ),
    User(
        "a patient's app beside a user's own",
        Grant("patient/Observation.rs user/Observation.rs", {"fhirUser": "Patient/pat-3"}),
        "/Observation",
        of_type("Observation", about("pat-a", "pat-3")),
    ),
)


@pytest.mark.requirement("SC-18", "SC-26", "SC-28", "SC-29", "G-2")
@pytest.mark.parametrize("user", USERS, ids=[user.sentence for user in USERS])
async def test_a_user_finds(front: Front, user: User) -> None:
    answers = await front.pages(user.path, user.grant)
    if user.needs in front.upstream.lacks:
        assert answers[0].status_code == 400
        return
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert front.found(answers) == front.expected(user.finds)


async def test_a_system_reads_and_streams_everything(front: Front) -> None:
    """What nothing needs to be checked of still carries no address of the server (`Front.ask` looks)."""
    system = Grant("system/*.rs", {"patient": None}, marks=NOTHING_HIDDEN)
    for path in ("/Patient/pat-b", "/Observation/pat-b-smoking", "/Binary/pat-a-binary", "/Observation/pat-b/_history"):
        answer = await front.ask(path, system)
        assert answer.status_code in ({200, 404} if "_history" in path else {200}), path
    assert B_MARKER in (await front.ask("/Patient/pat-b", system)).text


HAS_PERFORMED = "_has:Observation:performer:code=x"

REFUSED = (
    ("another type", "/Condition", Grant("patient/Observation.rs"), "scope_insufficient"),
    ("a search with the letter r alone", "/Observation", Grant("patient/Observation.r"), "scope_insufficient"),
    ("a read with the letter s", "/Observation/pat-a-smoking", Grant("patient/Observation.s"), "scope_insufficient"),
    (
        "a relative whom nobody knows",
        "/Observation",
        Grant("user/*.rs", {"fhirUser": "RelatedPerson/nobody", "patient": None}),
        "user_reach_unknown",
    ),
    ("no patient", "/Observation", Grant("patient/*.rs", {"patient": None}), "patient_context_missing"),
    ("two patients", "/Observation", Grant("patient/*.rs", {"patient": ["pat-a", "pat-b"]}), "patient_context_invalid"),
    ("a person", "/Patient", Grant("user/*.rs", {"fhirUser": "Person/1", "patient": None}), "user_reach_unknown"),
    ("a constraint on another type", "/Condition", LABS, "scope_insufficient"),
    ("the whole compartment", "/Patient/pat-a/*", A, "interaction_not_supported"),
    ("a shared type, searched", "/Practitioner?name=Doctor", A, "search_by_id_only"),
    ("a chain through a shared type", "/Observation?performer.identifier=x", A, "parameter_out_of_reach"),
    (
        "a chain out of scope",
        f"/Observation?patient.identifier={MRN}pat-b",
        OBSERVATIONS_ALONE,
        "parameter_out_of_reach",
    ),
    ("a chain back to what is shared", f"/Practitioner?_id=x&{HAS_PERFORMED}", A, "parameter_out_of_reach"),
    ("a chain back against a constraint", "/Patient?_has:Observation:patient:code=x", LABS, "parameter_out_of_reach"),
    ("sorting by a chain", "/Observation?_sort=performer.name", A, None),
    ("a query language", "/Observation?_filter=patient eq pat-b", A, "parameter_refused"),
    ("a list", "/Observation?_list=pat-b-list", A, "parameter_refused"),
    ("a text index", "/Observation?_content=secret", A, "parameter_refused"),
    ("an operation", "/Patient/pat-a/$everything", A, "operation_not_allowed"),
    ("an operation on the type", "/Observation/$lastn?patient=pat-a", A, "operation_not_allowed"),
)


@pytest.mark.requirement("SC-3", "SC-5", "SC-27")
@pytest.mark.parametrize(("path", "grant", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_it_is_refused(front: Front, path: str, grant: Grant, reason: str | None) -> None:
    answer = await front.ask(path, grant)
    assert answer.status_code in {400, 403}
    assert reason is None or (answer.status_code, reason_of(answer)) == (403, reason)


async def test_a_count_is_of_what_may_be_seen(front: Front) -> None:
    """Where narrowing is exact; what the patient sees of another's records is not counted (leak_19)."""
    own = len(front.expected(A_OBSERVATIONS))
    labs = Grant(f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory")
    of_labs = len(
        front.expected(of_type("Observation", about("pat-a"), categorised(f"{OBSERVATION_CATEGORY}|laboratory")))
    )
    for grant, expected in ((A, own), (labs, of_labs)):
        for query in (
            "_summary=count",
            "_count=0",
            "_total=accurate&_count=1",
            "patient=Patient/pat-a,Patient/pat-b&_summary=count",
        ):
            answer = await front.ask(f"/Observation?{query}", grant)
            assert (answer.status_code, answer.json().get("total", expected)) == (200, expected), query
    across = Grant(
        f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory user/Observation.rs",
        {"fhirUser": "Patient/pat-3"},
    )
    refused = await front.ask("/Observation?_summary=count", across)
    assert (refused.status_code, reason_of(refused)) == (403, "count_not_exact")


async def test_another_grants_page_is_not_found(front: Front) -> None:
    """A paging link belongs to the grant it was made for (leak_07)."""
    if Feature.PAGES in front.upstream.lacks:
        pytest.skip("This server answers one page.")
    first = await front.ask("/Observation?_count=3")
    following = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    for other in (Grant("patient/*.r patient/*.s"), Grant(claims={"patient": "pat-3"}), Grant(claims={"sub": "else"})):
        answer = await front.ask(following, other)
        assert (answer.status_code, reason_of(answer)) == (404, "page_unknown")
    assert (await front.ask(following)).status_code == 200


async def test_the_users_find_something(front: Front) -> None:
    """Were a condition to hold of nothing, the test above would compare nothing with nothing."""
    for user in USERS:
        assert user.finds is nothing or front.expected(user.finds), user.sentence
