"""Full, limited and granular access as the public conformance suites test it (clients-and-suites.md 4.6 and 4.7)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest

from tests.smart_server.person_in_browser import Page
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App
from tests.smart_server.suite_requests import LAUNCH, read_fhir

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]
# No other test counts the records of this patient, so that records can be added.
PATIENT = "pat-5"
CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
US_CORE_CONDITION = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
US_CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
G1 = (
    f"patient/Condition.rs?category={CONDITION}|encounter-diagnosis",
    f"patient/Condition.rs?category={US_CORE_CONDITION}|health-concern",
    f"patient/Observation.rs?category={OBSERVATION}|laboratory",
    f"patient/Observation.rs?category={OBSERVATION}|social-history",
)
G2 = (
    f"patient/Condition.rs?category={CONDITION}|problem-list-item",
    f"patient/Observation.rs?category={OBSERVATION}|vital-signs",
    f"patient/Observation.rs?category={OBSERVATION}|survey",
    f"patient/Observation.rs?category={US_CORE}|sdoh",
)


def _record(resource_type: str, name: str, *categories: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": resource_type,
        "id": f"{PATIENT}-suite-{name}",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "category": [{"coding": [{"system": system, "code": code}]} for system, code in categories],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2708-6"}]},
    } | ({"status": "final", "effectiveDateTime": "2026-02-01"} if resource_type == "Observation" else {})


@pytest.fixture(scope="module", autouse=True)
def records(fhir_server: str) -> Iterator[None]:
    """Records of every category, of two categories, and of others; deleted afterwards."""
    created = [
        _record("Condition", "diagnosis", (CONDITION, "encounter-diagnosis")),
        _record("Condition", "concern", (US_CORE_CONDITION, "health-concern")),
        _record("Condition", "two", (CONDITION, "problem-list-item"), (US_CORE_CONDITION, "health-concern")),
        _record("Condition", "same-code", ("urn:other", "health-concern")),
        _record("Observation", "sdoh", (OBSERVATION, "social-history"), (US_CORE, "sdoh")),
        _record("Observation", "sdoh-alone", (US_CORE, "sdoh")),
        _record("Observation", "imaging", (OBSERVATION, "imaging")),
    ]
    with httpx2.Client(trust_env=False) as client:
        for resource in created:
            answer = client.put(f"{fhir_server}/{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code in {200, 201}, answer.text
        yield
        for resource in created:
            client.delete(f"{fhir_server}/{resource['resourceType']}/{resource['id']}")


SEARCHES = [
    "Patient?_id={p}", "AllergyIntolerance?patient={p}", "CarePlan?category=assess-plan&patient={p}",
    "CareTeam?patient={p}&status=proposed", "Condition?patient={p}", "Device?patient={p}",
    "DiagnosticReport?category=LAB&patient={p}", "DocumentReference?patient={p}", "Goal?patient={p}",
    "Immunization?patient={p}", "MedicationRequest?intent=proposal&patient={p}",
    "Observation?code=2708-6&patient={p}", "Procedure?patient={p}", "Encounter?patient={p}",
    "ServiceRequest?patient={p}", "Coverage?patient={p}", "MedicationDispense?patient={p}",
]  # fmt: skip
LIMITED = ("Patient", "Observation", "Condition", "Immunization")


def row_of(page: Page, part: str) -> str:
    """The index of the consent row that has this part."""
    choices = page.form("/consent").choices
    return next(name.removeprefix("part-") for name, parts in choices.items() if part in parts)


class TestAccess:
    """4.6: full and limited access, with the requests of the suite."""

    async def test_a_full_grant_opens_everything(self, server: RunningServer, fhir_server: str) -> None:
        app, statuses = server.app(), {200: 0, 400: 0}
        token = (await server.request_tokens(app, f"{LAUNCH} patient/*.rs", patient=PATIENT))["access_token"]
        for search in SEARCHES:
            answer = await read_fhir(app, "/" + search.format(p=PATIENT), token)
            # sekmet supports no parameters for some types and says so in strict handling, which the suites accept. The
            # gateway evaluates the patient's own criterion itself, and sends any other.
            direct = await server.http.get(
                f"{fhir_server}/{search.format(p=PATIENT)}", headers={"prefer": "handling=strict"}
            )
            assert direct.status_code in {200, 400}
            expected = 200 if search.endswith("?patient={p}") else direct.status_code
            statuses[expected] += 1
            resource_type = "Bundle" if expected == 200 else "OperationOutcome"
            assert (answer.status_code, answer.json()["resourceType"]) == (expected, resource_type), search
        assert statuses[200] >= 10

    async def test_a_limited_grant_opens_what_was_ticked_and_refuses_the_rest(self, server: RunningServer) -> None:
        app = server.app()
        person, page = await server.open_consent_page(app, f"{LAUNCH} patient/*.rs", patient=PATIENT)
        row = row_of(page, "patient/Patient.rs")
        ticked = [f"patient/{resource_type}.rs" for resource_type in LIMITED]
        picks: dict[str, str | list[str]] = {f"use-{row}": "some", f"part-{row}": ticked}
        page = await person.agree(page, **picks)
        tokens = (await app.exchange(page.parameters["code"])).json()
        assert set(tokens["scope"].split()) == {*LAUNCH.split(), *ticked}
        for search in SEARCHES:
            answer = await read_fhir(app, "/" + search.format(p=PATIENT), tokens["access_token"])
            if search.partition("?")[0] in LIMITED:
                assert answer.status_code == 200, (search, answer.text)
            else:
                assert answer.status_code in {401, 403}, search
                assert answer.json()["resourceType"] == "OperationOutcome"


@dataclass(frozen=True)
class SearchResult:
    """The resources of every page of a search, by `Type/id`."""

    status: int
    resources: dict[str, dict[str, Any]]


async def search_all_pages(app: App, token: str, verb: str, resource_type: str, query: str) -> SearchResult:
    """A search by GET or POST, with all following pages."""
    headers = {"accept": "application/fhir+json", "authorization": f"Bearer {token}"}
    if verb == "GET":
        response = await app.http.get(f"{app.base}/{resource_type}?{query}", headers=headers)
    else:
        form = dict(parse_qsl(query))
        response = await app.http.post(f"{app.base}/{resource_type}/_search", data=form, headers=headers)
    resources: dict[str, dict[str, Any]] = {}
    while response.status_code == 200:
        bundle = response.json()
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            if resource["resourceType"] != "OperationOutcome":
                resources[f"{resource['resourceType']}/{resource['id']}"] = resource
        following = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
        if not following:
            return SearchResult(200, resources)
        assert following[0].startswith(app.base)
        response = await app.http.get(following[0], headers=headers)
    return SearchResult(response.status_code, {})


def is_granted(resource: dict[str, Any], scopes: tuple[str, ...]) -> bool:
    """Whether a scope grants the resource, by the rule of the suite."""
    wanted = [scope.partition("=")[2].lower() for scope in scopes if f"/{resource['resourceType']}." in scope]
    codings = [coding for category in resource.get("category", []) for coding in category.get("coding", [])]
    return any(f"{coding.get('system')}|{coding['code']}".lower() in wanted for coding in codings)


QUERIES = {
    "Condition": [
        {"patient": PATIENT},
        *({"patient": PATIENT, "category": category} for category in (
            f"{CONDITION}|encounter-diagnosis", f"{CONDITION}|problem-list-item", f"{US_CORE_CONDITION}|health-concern",
            "health-concern")),
    ],
    "Observation": [
        {"patient": PATIENT},
        *({"patient": PATIENT, "category": category} for category in (
            f"{OBSERVATION}|laboratory", f"{OBSERVATION}|vital-signs", f"{OBSERVATION}|social-history",
            f"{OBSERVATION}|survey", f"{US_CORE}|sdoh", f"{OBSERVATION}|imaging")),
        {"patient": PATIENT, "category": f"{OBSERVATION}|laboratory", "date": "gt2000-01-01"},
        {"patient": PATIENT, "category": f"{OBSERVATION}|vital-signs", "date": "lt2000-01-01"},
        {"patient": PATIENT, "code": "2708-6"},
        {"patient": PATIENT, "code": "http://loinc.org|72166-2"},
        {"patient": PATIENT, "_count": "2"},
    ],
}  # fmt: skip


class TestGranular:
    """4.7: `?category=` scopes narrow the results of a search and do not refuse it."""

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_a_each_scope_comes_back_to_the_letter(self, server: RunningServer, scopes: tuple[str, ...]) -> None:
        tokens = await server.request_tokens(
            server.app(), " ".join([LAUNCH, "patient/Patient.rs", *scopes]), patient=PATIENT
        )
        granted = tokens["scope"].split()
        assert sorted(granted) == sorted([*LAUNCH.split(), "patient/Patient.rs", *scopes])

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_b_every_earlier_search_finds_what_any_scope_grants(
        self, server: RunningServer, scopes: tuple[str, ...]
    ) -> None:
        app = server.app("house-app")
        whole = await server.request_tokens(
            app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs", patient=PATIENT
        )
        narrow = await server.request_tokens(app, " ".join([LAUNCH, *scopes]), patient=PATIENT)
        kept = left_out = 0
        for resource_type, queries in QUERIES.items():
            for query in queries:
                earlier = await search_all_pages(app, whole["access_token"], "GET", resource_type, urlencode(query))
                assert earlier.status == 200
                expected = {name for name, resource in earlier.resources.items() if is_granted(resource, scopes)}
                for verb in ("GET", "POST"):
                    result = await search_all_pages(app, narrow["access_token"], verb, resource_type, urlencode(query))
                    assert set(result.resources) == expected, (verb, resource_type, query, result.status)
                    assert result.status == 200, (verb, resource_type, query)
                kept += len(expected)
                left_out += len(earlier.resources) - len(expected)
        assert kept > 10
        assert left_out > 10

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_c_and_d_a_read_is_of_the_right_type_or_an_operation_outcome(
        self, server: RunningServer, scopes: tuple[str, ...]
    ) -> None:
        app = server.app("house-app")
        whole = await server.request_tokens(
            app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs", patient=PATIENT
        )
        token = (await server.request_tokens(app, " ".join([LAUNCH, *scopes]), patient=PATIENT))["access_token"]
        seen = {True: 0, False: 0}
        for resource_type in QUERIES:
            everything = await search_all_pages(app, whole["access_token"], "GET", resource_type, f"patient={PATIENT}")
            for name, resource in everything.resources.items():
                answer, granted = await read_fhir(app, f"/{name}", token), is_granted(resource, scopes)
                assert (answer.status_code == 200) is granted, name
                assert answer.json()["resourceType"] == (resource_type if granted else "OperationOutcome")
                assert answer.headers["content-type"].startswith("application/fhir+json")
                seen[granted] += 1
        assert min(seen.values()) > 2

    async def test_e_a_person_picks_categories(self, server: RunningServer) -> None:
        app = server.app()
        person, page = await server.open_consent_page(
            app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs patient/Patient.rs", patient=PATIENT
        )
        picks: dict[str, str | list[str]] = {}
        for scopes in ((G1[0], G2[0], G1[1]), (G1[2], G1[3], G2[1], G2[2], G2[3])):
            row = row_of(page, scopes[0])
            assert set(scopes) <= set(page.form("/consent").choices[f"part-{row}"])
            picks |= {f"use-{row}": "some", f"part-{row}": list(scopes[:2])}
        page = await person.agree(page, **picks)
        granted = (await app.exchange(page.parameters["code"])).json()["scope"].split()
        for resource_type in QUERIES:
            assert [scope for scope in granted if re.fullmatch(rf"patient/{resource_type}\.c?r?u?d?s?", scope)] == []
            assert [scope for scope in granted if re.fullmatch(rf"patient/{resource_type}\.rs\?.+=.+", scope)]
        assert "patient/Patient.rs" in granted
