"""Operations of the shipped manifest: a token reaches by them what it could read and find, and no more."""

from dataclasses import replace
from typing import Any

import pytest

from tests.proxy.leaked_marks import ids_in, is_refused, refusal_reason
from tests.real_servers.gateway_requests import A_APP, Gateways, TokenGrant
from tests.real_servers.servers_under_test import Feature
from tests.real_servers.stored_resources import in_chart
from tests.servers.people import PATIENT_A

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYTHING = "/Patient/pat-a/$everything"
RESULTS = TokenGrant("patient/Patient.rs patient/Observation.rs")
WRITER = TokenGrant("patient/Observation.c")
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}


async def test_everything_is_the_chart_of_the_patient_and_nothing_else(gateways: Gateways) -> None:
    responses = await gateways.follow_pages(f"{EVERYTHING}?_count=7")
    if Feature.EVERYTHING in gateways.upstream.lacks:
        assert refusal_reason(responses[0]) in {"upstream_rejected", "upstream_failed"}
        return
    found = gateways.found_names(responses)
    chart = gateways.expected_names(in_chart(PATIENT_A))
    shared = {
        name for name in found if name.split("/")[0] in {"Practitioner", "Organization", "Medication", "Location"}
    }
    assert found <= chart | shared
    assert {"Patient/pat-a", "Observation/pat-a-smoking"} <= found


async def test_everything_is_cut_to_the_types_of_the_token(gateways: Gateways) -> None:
    for path in (EVERYTHING, f"{EVERYTHING}?_type=Observation,Patient"):
        responses = await gateways.follow_pages(path, RESULTS)
        types = {name.split("/")[0] for name in gateways.found_names(responses)}
        assert types <= {"Patient", "Observation"}
    asked = await gateways.follow_pages(f"{EVERYTHING}?_type=Observation", RESULTS)
    assert {name.split("/")[0] for name in gateways.found_names(asked)} <= {"Observation"}


async def test_everything_of_another_patient_looks_absent(gateways: Gateways) -> None:
    hidden = await gateways.request("/Patient/pat-b/$everything")
    absent = await gateways.request("/Patient/never-was/$everything")
    assert is_refused(hidden, 404, "not_found")
    assert hidden.content == absent.content


async def test_meta_is_shown_of_what_may_be_read(gateways: Gateways) -> None:
    response = await gateways.request("/Patient/pat-a/$meta", TokenGrant("patient/Patient.r"))
    assert response.status_code == 200
    (parameter,) = response.json()["parameter"]
    assert parameter["name"] == "return"
    assert parameter["valueMeta"]["security"]
    assert is_refused(await gateways.request("/Observation/pat-b-smoking/$meta"), 404, "not_found")


async def test_a_document_comes_as_a_whole_or_not_at_all(gateways: Gateways) -> None:
    path = "/Composition/pat-a-summary/$document"
    whole = await gateways.request(path)
    if Feature.DOCUMENT in gateways.upstream.lacks:
        assert refusal_reason(whole) in {"upstream_rejected", "upstream_failed"}
        return
    assert whole.json()["type"] == "document"
    assert {"Composition/pat-a-summary", "Observation/pat-a-smoking", "Patient/pat-a"} <= set(ids_in(whole))
    without_results = await gateways.request(path, replace(A_APP, scope="patient/Composition.r patient/Patient.r"))
    assert is_refused(without_results, 404, "not_found")


async def test_a_terminology_is_asked_with_a_scope_for_it(gateways: Gateways) -> None:
    path = "/CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male"
    assert is_refused(await gateways.request(path, RESULTS), 403, "scope_insufficient")
    response = await gateways.request(path)
    if Feature.TERMINOLOGY in gateways.upstream.lacks:
        assert response.status_code in {400, 404, 502}
        return
    values = {parameter["name"]: parameter for parameter in response.json()["parameter"]}
    assert values["display"]["valueString"] == "Male"


REFERENCES = {
    "the patient": ({}, 200),
    "the patient's own visit": ({"encounter": {"reference": "Encounter/pat-a-encounter-1"}}, 200),
    "another patient's visit": ({"encounter": {"reference": "Encounter/pat-b-encounter-1"}}, 403),
    "a visit that is not there": ({"encounter": {"reference": "Encounter/never-was"}}, 403),
    "another patient": ({"subject": {"reference": "Patient/pat-b"}}, 403),
}


@pytest.mark.parametrize(("members", "status"), REFERENCES.values(), ids=REFERENCES)
async def test_a_resource_is_validated_if_it_could_be_created(
    gateways: Gateways, members: dict[str, Any], status: int
) -> None:
    body = {**OBSERVATION, "subject": {"reference": "Patient/pat-a"}, **members}
    response = await gateways.request("/Observation/$validate", WRITER, method="POST", json=body, timeout=180)
    if status == 200 and Feature.VALIDATE in gateways.upstream.lacks:
        assert response.status_code in {400, 404, 502}
        return
    assert response.status_code == status
    assert response.json()["resourceType"] == "OperationOutcome"


async def test_last_values_are_those_of_the_patient_whatever_the_server_makes_of_it(gateways: Gateways) -> None:
    """HAPI answers those of other patients (hapi.md B5)."""
    response = await gateways.request("/Observation/$lastn?patient=pat-a&max=1", replace(A_APP, reach="operations"))
    if response.status_code == 200:
        assert set(ids_in(response)) <= gateways.expected_names(in_chart(PATIENT_A))
    other = await gateways.request("/Observation/$lastn?patient=pat-b", replace(A_APP, reach="operations"))
    assert is_refused(other, 404, "not_found")


async def test_the_statement_lists_what_is_let_through(gateways: Gateways) -> None:
    statement = (await gateways.request("/metadata", TokenGrant())).json()
    listed = {
        (resource["type"], operation["name"])
        for resource in statement["rest"][0]["resource"]
        for operation in resource.get("operation", [])
    }
    assert {name for _, name in listed} <= {
        "everything",
        "validate",
        "meta",
        "document",
        "docref",
        "expand",
        "validate-code",
        "lookup",
        "subsumes",
        "translate",
        "export",
    }
    assert (Feature.EVERYTHING in gateways.upstream.lacks) or ("Patient", "everything") in listed
