"""Reads, versions and histories: A's records are A's to read, and anything else is as if it were not there."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.gateway.marks import ids_in, reason_of, resources_in
from tests.upstreams.asking import A, Front, Grant
from tests.upstreams.stored import about, in_chart, literal, observation, of_type
from tests.upstreams.upstream import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABS = Grant("patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory")
ABOUT_A = Grant(reach="subject")
WITHOUT_SCOPES = Grant("openid fhirUser", {"fhirUser": "Practitioner/practitioner-2"})
# What an answer says of itself and not of the resource.
_OF_THE_EXCHANGE = {"x-request-id", "x-decision-id", "date"}

VISIBLE = [
    ("the patient", "Patient/pat-a", A),
    ("a record about the patient", "Observation/pat-a-smoking", A),
    ("a record whose subject is a versioned reference", "Observation/pat-a-versioned", A),
    ("a record about another, in which the patient takes part", "Observation/pat-b-by-pat-a", A),
    ("an appointment of two patients", "Appointment/appointment-of-two", A),
    ("a device, by an element that R4's compartment leaves out", "Device/pat-a-device", A),
    ("a task for the patient", "Task/pat-a-task", A),
    ("a provenance, by its target", "Provenance/pat-a-provenance", A),
    ("a practitioner, whom every chart refers to", "Practitioner/practitioner-1", A),
    ("an organization", "Organization/organization-1", A),
    ("a medication", "Medication/medication-1", A),
    ("a laboratory result under a scope for these", "Observation/pat-a-observation-1", LABS),
    ("the user's own resource without any resource scope", "Practitioner/practitioner-2", WITHOUT_SCOPES),
]

HIDDEN = [
    ("another patient", "Patient/pat-b", A),
    ("another patient's record", "Observation/pat-b-smoking", A),
    ("another patient's device", "Device/pat-b-device", A),
    ("a device of nobody", "Device/device-without-patient", A),
    ("another patient's task", "Task/pat-b-task", A),
    ("a provenance whose target is hidden", "Provenance/pat-b-provenance", A),
    (
        "what the patient takes part in, where only what is about the patient counts",
        "Observation/pat-b-by-pat-a",
        ABOUT_A,
    ),
    ("another patient's Binary", "Binary/pat-b-binary", A),
    ("a Binary that another patient's document points at", "Binary/pat-b-scan", A),
    ("a result of another category", "Observation/pat-a-smoking", LABS),
    ("a result of another system's category", "Observation/pat-a-foreign-lab", LABS),
]


@pytest.mark.parametrize(("path", "grant"), [row[1:] for row in VISIBLE], ids=[row[0] for row in VISIBLE])
async def test_it_may_be_read(front: Front, path: str, grant: Grant) -> None:
    answer = await front.ask(f"/{path}", grant)
    assert answer.status_code == 200
    assert f"{answer.json()['resourceType']}/{answer.json()['id']}" == path

    head = await front.ask(f"/{path}", grant, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert _head(head) == _head(answer)

    version = answer.json()["meta"]["versionId"]
    old = await front.ask(f"/{path}/_history/{version}", grant)
    assert (old.status_code, old.json()) == (200, answer.json())

    history = await front.ask(f"/{path}/_history", grant)
    assert (history.status_code, ids_in(history)) == (200, {path})
    assert history.json()["type"] == "history"


@pytest.mark.parametrize(("path", "grant"), [row[1:] for row in HIDDEN], ids=[row[0] for row in HIDDEN])
async def test_it_is_as_if_it_were_not_there(front: Front, path: str, grant: Grant) -> None:
    """Status, head and body: nothing tells a hidden resource from one that never was (leak_30)."""
    kind = path.partition("/")[0]
    # A Binary is read as it stands now, never in another version.
    for suffix in ("",) if kind == "Binary" else ("", "/_history/1", "/_history"):
        for method in ("GET", "HEAD"):
            for headers in ({}, {"if-none-match": 'W/"1"'}, {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}):
                asked: dict[str, Any] = {"method": method, "headers": headers}
                hidden = await front.ask(f"/{path}{suffix}", grant, **asked)
                absent = await front.ask(f"/{kind}/never-was{suffix}", grant, **asked)
                assert hidden.status_code == 404
                assert (_head(hidden), hidden.content) == (_head(absent), absent.content)


async def test_a_deleted_record_is_as_if_it_were_never_there(front: Front) -> None:
    await front.upstream_put(observation("pat-a", "pat-a-deleted"))
    assert (await front.ask("/Observation/pat-a-deleted")).status_code == 200
    await front.upstream_delete("Observation/pat-a-deleted")
    for suffix in ("", "/_history/1", "/_history"):
        deleted = await front.ask(f"/Observation/pat-a-deleted{suffix}")
        absent = await front.ask(f"/Observation/never-was{suffix}")
        assert (deleted.status_code, deleted.content) == (404, absent.content)
        assert _head(deleted) == _head(absent)


async def test_a_record_that_has_moved_shows_only_the_versions_that_are_the_patients(front: Front) -> None:
    """An old version may carry another subject (hapi.md B6)."""
    async with front.gone_afterwards("Observation/moved-to-a"):
        foreign = await front.upstream_put(observation("pat-b", "moved-to-a"))
        own = await front.upstream_put(observation("pat-a", "moved-to-a"))
        assert (await front.ask(f"/Observation/moved-to-a/_history/{own}")).status_code == 200
        assert (await front.ask(f"/Observation/moved-to-a/_history/{foreign}")).status_code == 404
        versions = (await front.ask("/Observation/moved-to-a/_history")).json()["entry"]
        assert [entry["resource"]["meta"]["versionId"] for entry in versions] == [own]


async def test_a_record_that_was_the_patients_is_theirs_no_more(front: Front) -> None:
    async with front.gone_afterwards("Observation/moved-to-b"):
        own = await front.upstream_put(observation("pat-a", "moved-to-b"))
        await front.upstream_put(observation("pat-b", "moved-to-b"))
        for path in (
            "Observation/moved-to-b",
            f"Observation/moved-to-b/_history/{own}",
            "Observation/moved-to-b/_history",
        ):
            assert (await front.ask(f"/{path}")).status_code == 404, path


async def test_a_read_is_not_repeated_to_one_who_has_it(front: Front) -> None:
    first = await front.ask("/Patient/pat-a")
    tag = first.headers.get("etag")
    assert tag is not None
    again = await front.ask("/Patient/pat-a", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("query", ["_elements=status", "_summary=text", "_summary=true", "_summary=data"])
async def test_a_part_of_a_record_is_judged_by_the_whole(front: Front, query: str) -> None:
    """`_elements` and `_summary=text` take the subject away (hapi.md B10, leak_29)."""
    assert (await front.ask(f"/Observation/pat-a-smoking?{query}")).status_code == 200
    hidden = await front.ask(f"/Observation/pat-b-smoking?{query}")
    absent = await front.ask(f"/Observation/never-was?{query}")
    assert (hidden.status_code, hidden.content) == (404, absent.content)


async def test_a_binary_leaves_as_what_it_holds(front: Front) -> None:
    """By its security context, or by a document of the patient that points at it."""
    for name in ("pat-a-binary", "pat-a-scan"):
        assert (await front.ask(f"/Binary/{name}", headers={"accept": "application/fhir+json"})).status_code == 200
        assert (await front.ask(f"/Binary/{name}", headers={"accept": "*/*"})).status_code == 200
        alone = await front.ask(f"/Binary/{name}", replace(A, scope="patient/Observation.rs"))
        assert (alone.status_code, reason_of(alone)) == (403, "scope_insufficient")


async def test_references_to_the_server_become_references_to_the_gateway(front: Front) -> None:
    """A subject stored as an absolute URL is ours to judge and ours to show (`Front.ask` looks for the server's)."""
    if not front.upstream.absolute:
        pytest.skip("This server does not store absolute references to itself.")
    answer = await front.ask("/Observation/pat-a-absolute")
    subject = answer.json()["subject"]["reference"].removeprefix(front.gateways["full"].base_url).lstrip("/")
    assert subject == "Patient/pat-a"
    hidden, absent = await front.ask("/Observation/pat-b-absolute"), await front.ask("/Observation/never-was")
    assert (hidden.status_code, hidden.content) == (404, absent.content)


@pytest.mark.parametrize(
    ("path", "feature"), [("/Observation/_history", Feature.TYPE_HISTORY), ("/_history", Feature.SYSTEM_HISTORY)]
)
async def test_the_history_of_many_shows_the_patients_own(front: Front, path: str, feature: Feature) -> None:
    answers = await front.pages(f"{path}?_count=200")
    assert answers[0].status_code == 200 or (answers[0].status_code in {400, 404} and feature in front.upstream.lacks)
    shown = [one for answer in answers if answer.status_code == 200 for one in resources_in(answer)]
    provenances = ("Provenance/pat-a-provenance", "Provenance/provenance-of-two")
    assert [literal(one) for one in shown if not in_chart("pat-a")(one) and literal(one) not in provenances] == []
    if feature not in front.upstream.lacks:
        assert front.expected(of_type("Observation", about("pat-a"))) <= set(map(literal, shown))


def _head(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _OF_THE_EXCHANGE}
