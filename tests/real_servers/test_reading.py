"""Reads, versions and histories: A's app can read A's records, and anything else looks absent."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.proxy.leaked_marks import ids_in, refusal_reason, resources_in
from tests.real_servers.gateway_requests import A_APP, Gateways, TokenGrant
from tests.real_servers.servers_under_test import Feature
from tests.real_servers.stored_resources import about, in_chart, observation, of_type, relative_url

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABS = TokenGrant(
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
)
ABOUT_A = TokenGrant(reach="subject")
WITHOUT_SCOPES = TokenGrant("openid fhirUser", {"fhirUser": "Practitioner/practitioner-2"})
# Headers about the exchange, not about the resource.
_OF_THE_EXCHANGE = {"x-request-id", "x-decision-id", "date"}

VISIBLE = [
    ("the patient", "Patient/pat-a", A_APP),
    ("a record about the patient", "Observation/pat-a-smoking", A_APP),
    ("a record whose subject is a versioned reference", "Observation/pat-a-versioned", A_APP),
    ("a record about another, in which the patient takes part", "Observation/pat-b-by-pat-a", A_APP),
    ("an appointment of two patients", "Appointment/appointment-of-two", A_APP),
    ("a device, by an element that R4's compartment leaves out", "Device/pat-a-device", A_APP),
    ("a task for the patient", "Task/pat-a-task", A_APP),
    ("a provenance, by its target", "Provenance/pat-a-provenance", A_APP),
    ("a practitioner, whom every chart refers to", "Practitioner/practitioner-1", A_APP),
    ("an organization", "Organization/organization-1", A_APP),
    ("a medication", "Medication/medication-1", A_APP),
    ("a laboratory result under a scope for these", "Observation/pat-a-observation-1", LABS),
    ("the user's own resource without any resource scope", "Practitioner/practitioner-2", WITHOUT_SCOPES),
]

HIDDEN = [
    ("another patient", "Patient/pat-b", A_APP),
    ("another patient's record", "Observation/pat-b-smoking", A_APP),
    ("another patient's device", "Device/pat-b-device", A_APP),
    ("a device of nobody", "Device/device-without-patient", A_APP),
    ("another patient's task", "Task/pat-b-task", A_APP),
    ("a provenance whose target is hidden", "Provenance/pat-b-provenance", A_APP),
    (
        "what the patient takes part in, where only what is about the patient counts",
        "Observation/pat-b-by-pat-a",
        ABOUT_A,
    ),
    ("another patient's Binary", "Binary/pat-b-binary", A_APP),
    ("a Binary that another patient's document points at", "Binary/pat-b-scan", A_APP),
    ("a result of another category", "Observation/pat-a-smoking", LABS),
    ("a result of another system's category", "Observation/pat-a-foreign-lab", LABS),
]


@pytest.mark.parametrize(("path", "grant"), [row[1:] for row in VISIBLE], ids=[row[0] for row in VISIBLE])
async def test_it_may_be_read(gateways: Gateways, path: str, grant: TokenGrant) -> None:
    response = await gateways.request(f"/{path}", grant)
    assert response.status_code == 200
    assert f"{response.json()['resourceType']}/{response.json()['id']}" == path

    head = await gateways.request(f"/{path}", grant, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert _head(head) == _head(response)

    version = response.json()["meta"]["versionId"]
    old = await gateways.request(f"/{path}/_history/{version}", grant)
    assert (old.status_code, old.json()) == (200, response.json())

    history = await gateways.request(f"/{path}/_history", grant)
    assert (history.status_code, ids_in(history)) == (200, {path})
    assert history.json()["type"] == "history"


@pytest.mark.parametrize(("path", "grant"), [row[1:] for row in HIDDEN], ids=[row[0] for row in HIDDEN])
async def test_it_is_as_if_it_were_not_there(gateways: Gateways, path: str, grant: TokenGrant) -> None:
    """Status, headers and body are the same for a hidden resource and for one that never existed (leak_30)."""
    kind = path.partition("/")[0]
    for suffix in ("", "/_history/1", "/_history"):
        for method in ("GET", "HEAD"):
            for headers in ({}, {"if-none-match": 'W/"1"'}, {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}):
                asked: dict[str, Any] = {"method": method, "headers": headers}
                hidden = await gateways.request(f"/{path}{suffix}", grant, **asked)
                absent = await gateways.request(f"/{kind}/never-was{suffix}", grant, **asked)
                assert hidden.status_code == 404
                assert (_head(hidden), hidden.content) == (_head(absent), absent.content)


async def test_a_deleted_record_is_as_if_it_were_never_there(gateways: Gateways) -> None:
    await gateways.upstream_put(observation("pat-a", "pat-a-deleted"))
    assert (await gateways.request("/Observation/pat-a-deleted")).status_code == 200
    await gateways.upstream_delete("Observation/pat-a-deleted")
    for suffix in ("", "/_history/1", "/_history"):
        deleted = await gateways.request(f"/Observation/pat-a-deleted{suffix}")
        absent = await gateways.request(f"/Observation/never-was{suffix}")
        assert (deleted.status_code, deleted.content) == (404, absent.content)
        assert _head(deleted) == _head(absent)


async def test_a_record_that_has_moved_shows_only_the_versions_that_are_the_patients(gateways: Gateways) -> None:
    """An old version may have another subject (hapi.md B6)."""
    async with gateways.delete_afterwards("Observation/moved-to-a"):
        foreign = await gateways.upstream_put(observation("pat-b", "moved-to-a"))
        own = await gateways.upstream_put(observation("pat-a", "moved-to-a"))
        assert (await gateways.request(f"/Observation/moved-to-a/_history/{own}")).status_code == 200
        assert (await gateways.request(f"/Observation/moved-to-a/_history/{foreign}")).status_code == 404
        versions = (await gateways.request("/Observation/moved-to-a/_history")).json()["entry"]
        assert [entry["resource"]["meta"]["versionId"] for entry in versions] == [own]


async def test_a_record_that_was_the_patients_is_theirs_no_more(gateways: Gateways) -> None:
    async with gateways.delete_afterwards("Observation/moved-to-b"):
        own = await gateways.upstream_put(observation("pat-a", "moved-to-b"))
        await gateways.upstream_put(observation("pat-b", "moved-to-b"))
        for path in (
            "Observation/moved-to-b",
            f"Observation/moved-to-b/_history/{own}",
            "Observation/moved-to-b/_history",
        ):
            assert (await gateways.request(f"/{path}")).status_code == 404, path


async def test_a_read_is_not_repeated_to_one_who_has_it(gateways: Gateways) -> None:
    first = await gateways.request("/Patient/pat-a")
    tag = first.headers.get("etag")
    assert tag is not None
    again = await gateways.request("/Patient/pat-a", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("query", ["_elements=status", "_summary=text", "_summary=true", "_summary=data"])
async def test_a_part_of_a_record_is_judged_by_the_whole(gateways: Gateways, query: str) -> None:
    """`_elements` and `_summary=text` remove the subject (hapi.md B10, leak_29)."""
    assert (await gateways.request(f"/Observation/pat-a-smoking?{query}")).status_code == 200
    hidden = await gateways.request(f"/Observation/pat-b-smoking?{query}")
    absent = await gateways.request(f"/Observation/never-was?{query}")
    assert (hidden.status_code, hidden.content) == (404, absent.content)


async def test_a_binary_leaves_as_what_it_holds(gateways: Gateways) -> None:
    """The Binary is visible by its security context, or by a document of the patient that refers to it."""
    for name in ("pat-a-binary", "pat-a-scan"):
        assert (
            await gateways.request(f"/Binary/{name}", headers={"accept": "application/fhir+json"})
        ).status_code == 200
        assert (await gateways.request(f"/Binary/{name}", headers={"accept": "*/*"})).status_code == 200
        alone = await gateways.request(f"/Binary/{name}", replace(A_APP, scope="patient/Observation.rs"))
        assert (alone.status_code, refusal_reason(alone)) == (403, "scope_insufficient")


async def test_references_to_the_server_become_references_to_the_gateway(gateways: Gateways) -> None:
    """A subject that is stored as an absolute URL is judged, and shown with our base URL (see `Gateways.request`)."""
    if not gateways.upstream.absolute:
        pytest.skip("This server does not store absolute references to itself.")
    response = await gateways.request("/Observation/pat-a-absolute")
    subject = response.json()["subject"]["reference"].removeprefix(gateways.by_reach["full"].base_url).lstrip("/")
    assert subject == "Patient/pat-a"
    hidden, absent = (
        await gateways.request("/Observation/pat-b-absolute"),
        await gateways.request("/Observation/never-was"),
    )
    assert (hidden.status_code, hidden.content) == (404, absent.content)


@pytest.mark.parametrize(
    ("path", "feature"), [("/Observation/_history", Feature.TYPE_HISTORY), ("/_history", Feature.SYSTEM_HISTORY)]
)
async def test_the_history_of_many_shows_the_patients_own(gateways: Gateways, path: str, feature: Feature) -> None:
    responses = await gateways.follow_pages(f"{path}?_count=200")
    assert responses[0].status_code == 200 or (
        responses[0].status_code in {400, 404} and feature in gateways.upstream.lacks
    )
    resources = [
        resource for response in responses if response.status_code == 200 for resource in resources_in(response)
    ]
    provenances = ("Provenance/pat-a-provenance", "Provenance/provenance-of-two")
    assert [
        relative_url(resource)
        for resource in resources
        if not in_chart("pat-a")(resource) and relative_url(resource) not in provenances
    ] == []
    if feature not in gateways.upstream.lacks:
        assert gateways.expected_names(of_type("Observation", about("pat-a"))) <= set(map(relative_url, resources))


def _head(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in _OF_THE_EXCHANGE}
