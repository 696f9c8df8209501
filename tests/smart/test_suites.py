"""What the public conformance suites ask, request by request (clients-and-suites.md 4.1-4.10), and what they want."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.oauth.pkce import challenge_of
from tests.smart.app import JWT_BEARER, App
from tests.smart.house import ASYMMETRIC_KEY, BACKEND_KEY, SECRET, House
from tests.smart.person import Page

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LAUNCH = "launch/patient openid fhirUser offline_access"
ORIGIN = "https://app.example"
# A patient whose records no other test counts, so that more can be put beside them.
P = "pat-5"
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


def _record(kind: str, name: str, *categories: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": f"{P}-suite-{name}",
        "subject": {"reference": f"Patient/{P}"},
        "category": [{"coding": [{"system": system, "code": code}]} for system, code in categories],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2708-6"}]},
    } | ({"status": "final", "effectiveDateTime": "2026-02-01"} if kind == "Observation" else {})


@pytest.fixture(scope="module", autouse=True)
def records(fhir_server: str) -> Iterator[None]:
    """Records of every category, of two, and of none that is asked for; gone again afterwards."""
    made = [
        _record("Condition", "diagnosis", (CONDITION, "encounter-diagnosis")),
        _record("Condition", "concern", (US_CORE_CONDITION, "health-concern")),
        _record("Condition", "two", (CONDITION, "problem-list-item"), (US_CORE_CONDITION, "health-concern")),
        _record("Condition", "same-code", ("urn:other", "health-concern")),
        _record("Observation", "sdoh", (OBSERVATION, "social-history"), (US_CORE, "sdoh")),
        _record("Observation", "sdoh-alone", (US_CORE, "sdoh")),
        _record("Observation", "imaging", (OBSERVATION, "imaging")),
    ]
    with httpx2.Client(trust_env=False) as client:
        for one in made:
            answer = client.put(f"{fhir_server}/{one['resourceType']}/{one['id']}", json=one)
            assert answer.status_code in {200, 201}, answer.text
        yield
        for one in made:
            client.delete(f"{fhir_server}/{one['resourceType']}/{one['id']}")


async def fhir(app: App, path: str, token: str | None) -> httpx2.Response:
    """A request as the suites' FHIR client sends it."""
    headers = {"accept": "application/fhir+json", "accept-charset": "utf-8"}
    headers |= {} if token is None else {"authorization": f"Bearer {token}"}
    return await app.http.get(f"{app.base}{path}", headers=headers)


class TestDiscovery:
    @pytest.mark.requirement("suite-D1")
    @pytest.mark.parametrize("accept", ["application/json", "application/fhir+json", "*/*", "text/html"])
    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_d1(self, house: House, slash: str, accept: str) -> None:
        typed = house.base + slash
        url = f"{typed.removesuffix('/')}/.well-known/smart-configuration"
        response = await house.http.get(url, headers={"accept": accept})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        assert isinstance(response.json(), dict)

    @pytest.mark.requirement("suite-D2")
    async def test_d2(self, house: House) -> None:
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
        for name in ("authorization_endpoint", "token_endpoint", "issuer", "jwks_uri"):
            assert re.match(r"https?://[^/]+/", document[name] + "/")
        assert all(isinstance(one, str) for one in document["capabilities"])
        assert {"authorization_code", "client_credentials"} <= set(document["grant_types_supported"])
        assert "S256" in document["code_challenge_methods_supported"]
        assert "plain" not in document["code_challenge_methods_supported"]
        assert "sso-openid-connect" in document["capabilities"]

    @pytest.mark.requirement("suite-D3")
    @pytest.mark.parametrize(
        "capabilities",
        [
            "launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric "
            "sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post "
            "permission-v2 permission-v1",
            "launch-ehr client-confidential-symmetric client-confidential-asymmetric sso-openid-connect context-banner "
            "context-style context-ehr-patient context-ehr-encounter permission-offline permission-user authorize-post "
            "permission-v2 permission-v1",
        ],
        ids=["standalone", "EHR"],
    )
    async def test_d3(self, house: House, capabilities: str) -> None:
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
        assert set(capabilities.split()) <= set(document["capabilities"])

    @pytest.mark.requirement("suite-D4")
    async def test_d4(self, house: House) -> None:
        app = house.app()
        code = await house.code(app, f"{LAUNCH} patient/*.rs")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri,
                "client_id": app.client_id, "code_verifier": app.verifier}  # fmt: skip
        headers = {"origin": ORIGIN}
        token = await house.http.post(f"{house.issuer}/token", data=form, headers=headers)
        bearer = {**headers, "authorization": f"Bearer {token.json()['access_token']}"}
        answers = [
            await house.http.get(f"{house.base}/.well-known/smart-configuration", headers=headers),
            await house.http.get(f"{house.base}/metadata", headers=headers),
            token,
            await house.http.get(f"{house.base}/Practitioner/practitioner-1", headers=bearer),
        ]
        for response in answers:
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] in {ORIGIN, "*"}

    @pytest.mark.requirement("suite-D5")
    async def test_d5(self, house: House) -> None:
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
        response = await house.http.get(f"{house.base}/metadata", headers={"accept": "application/fhir+json"})
        assert response.status_code == 200
        security = response.json()["rest"][0]["security"]
        codes = {coding["code"] for service in security["service"] for coding in service["coding"]}
        assert "SMART-on-FHIR" in codes
        (extension,) = [one for one in security["extension"] if one["url"].endswith("/StructureDefinition/oauth-uris")]
        told = {one["url"]: one["valueUri"] for one in extension["extension"]}
        names = {"authorize": "authorization_endpoint", "token": "token_endpoint", "manage": "management_endpoint",
                 "introspect": "introspection_endpoint", "revoke": "revocation_endpoint",
                 "register": "registration_endpoint"}  # fmt: skip
        assert told == {ours: document[name] for ours, name in names.items() if name in document}

    @pytest.mark.requirement("suite-D6")
    async def test_d6(self, house: House) -> None:
        openid = (await house.http.get(f"{house.issuer}/.well-known/openid-configuration")).json()
        assert openid["issuer"] == house.issuer
        keys = (await house.http.get(openid["jwks_uri"])).json()["keys"]
        assert all(one["kid"] for one in keys)


US_CORE_TYPES = (
    "Patient", "AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport", "DocumentReference",
    "Goal", "Immunization", "MedicationRequest", "Observation", "Procedure", "Provenance", "ServiceRequest", "Coverage",
    "MedicationDispense", "Specimen",
)  # fmt: skip


class TestTokens:
    @pytest.mark.requirement("suite-B5")
    @pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example", "asymmetric-app"])
    async def test_the_token_response_and_its_refresh(self, house: House, client_id: str) -> None:
        """4.2, and the words of the request in the answer: `.rs` stays `.rs`, and `.read` is `.read`."""
        app = house.app(client_id)
        for words in ("patient/Observation.rs patient/Patient.rs", "patient/Observation.read patient/Patient.read"):
            first = await app.exchange(await house.code(app, f"{LAUNCH} {words}"))
            second = await app.refresh(first.json()["refresh_token"])
            for response in (first, second):
                body = response.json()
                assert response.status_code == 200
                assert response.headers["content-type"].startswith("application/json")
                assert "no-store" in response.headers["cache-control"]
                assert "no-cache" in response.headers["pragma"]
                assert body["token_type"].lower() == "bearer"
                assert body["expires_in"] >= 120
                assert type(body["expires_in"]) is int
                assert set(body["scope"].split()) == {*LAUNCH.split(), *words.split()}
                for name in ("access_token", "refresh_token", "patient", "id_token"):
                    assert isinstance(body[name], str)
                    assert body[name]

    @pytest.mark.requirement("suite-P1", "suite-P2", "suite-P3", "suite-P4")
    @pytest.mark.parametrize("row", ["P1", "P2", "P3", "P4"])
    async def test_p(self, house: House, row: str) -> None:
        app = house.app()
        verifier = {"P1": None, "P2": "", "P3": f"{uuid.uuid4()}-{uuid.uuid4()}", "P4": challenge_of(app.verifier)}[row]
        code = await house.code(app, f"{LAUNCH} patient/*.rs")
        assert (await app.exchange(code, code_verifier=verifier)).status_code in {400, 401}

    @pytest.mark.requirement("suite-A1")
    @pytest.mark.parametrize("aud", ["https://other.example/fhir", "{base}/other", "{root}"])
    async def test_a1(self, house: House, aud: str) -> None:
        app = house.app()
        url = app.authorization_url(f"{LAUNCH} patient/*.rs", aud=aud.format(base=house.base, root=house.root))
        page = await house.person().go(url)
        assert "code" not in page.parameters
        assert page.parameters["error"] == "invalid_request"
        assert page.parameters["state"] == app.state

    @pytest.mark.requirement("suite-C1", "suite-C2", "suite-R1", "suite-U1")
    async def test_c_r_u(self, house: House) -> None:
        app = house.app("old-app")
        assert (await app.exchange("BAD_CODE")).status_code == 400
        code = await house.code(app, f"{LAUNCH} patient/*.rs")
        stranger = App(house.issuer, house.base, house.http, "BAD_CLIENT_ID", secret=SECRET, verifier=app.verifier)
        assert (await stranger.exchange(code)).status_code in {400, 401}
        tokens = (await app.exchange(code)).json()
        assert (await app.refresh(str(uuid.uuid4()))).status_code in {400, 401}
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200
        assert (await fhir(app, "/Patient/pat-a", None)).status_code == 401
        assert (await fhir(app, "/Patient/pat-a", tokens["access_token"])).status_code == 200

    async def test_the_id_token(self, house: House) -> None:
        """4.4: the user's own resource is read though no resource scope names its type."""
        app = house.app()
        tokens = await house.tokens(app, f"{LAUNCH} patient/*.rs")
        openid = (await house.http.get(f"{house.issuer}/.well-known/openid-configuration")).json()
        keys = KeySet.import_key_set((await house.http.get(openid["jwks_uri"])).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["iss"] == openid["issuer"]
        resource_type, resource_id = claims["fhirUser"].split("/")[-2:]
        assert resource_type in {"Patient", "Practitioner", "RelatedPerson", "Person"}
        answer = await fhir(app, f"/{resource_type}/{resource_id}", tokens["access_token"])
        assert answer.status_code == 200
        assert answer.json()["resourceType"] == resource_type

    @pytest.mark.parametrize(
        "scope",
        [
            "patient/*.rs",
            "patient/*.read",
            " ".join([*(f"patient/{one}.rs" for one in US_CORE_TYPES), "user/Location.rs user/Organization.rs"]),
        ],
        ids=["v2", "v1", "type by type"],
    )
    async def test_the_granted_scope(self, house: House, scope: str) -> None:
        """4.5: whatever was asked and agreed to comes back in its words."""
        granted = (await house.tokens(house.app(), f"{LAUNCH} {scope}"))["scope"].split()
        assert sorted(granted) == sorted(f"{LAUNCH} {scope}".split())


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
    """The number of the consent page's row that can be taken apart into that scope, among others."""
    choices = page.form("/consent").choices
    return next(name.removeprefix("part-") for name, parts in choices.items() if part in parts)


class TestAccess:
    """4.6: full and limited grants, by the very requests of the suite."""

    async def test_a_full_grant_opens_everything(self, house: House, fhir_server: str) -> None:
        app, known = house.app(), {200: 0, 400: 0}
        token = (await house.tokens(app, f"{LAUNCH} patient/*.rs", patient=P))["access_token"]
        for search in SEARCHES:
            answer = await fhir(app, "/" + search.format(p=P), token)
            # sekmet knows no parameter of some types, and says so when asked to be strict; the suites bear with that.
            there = await house.http.get(f"{fhir_server}/{search.format(p=P)}", headers={"prefer": "handling=strict"})
            assert there.status_code in {200, 400}
            known[there.status_code] += 1
            kind = "Bundle" if there.status_code == 200 else "OperationOutcome"
            assert (answer.status_code, answer.json()["resourceType"]) == (there.status_code, kind), search
        assert known[200] >= 10

    async def test_a_limited_grant_opens_what_was_ticked_and_refuses_the_rest(self, house: House) -> None:
        app = house.app()
        person, page = await house.consent_page(app, f"{LAUNCH} patient/*.rs", patient=P)
        row = row_of(page, "patient/Patient.rs")
        ticked = [f"patient/{one}.rs" for one in LIMITED]
        picks: dict[str, str | list[str]] = {f"use-{row}": "some", f"part-{row}": ticked}
        page = await person.agree(page, **picks)
        tokens = (await app.exchange(page.parameters["code"])).json()
        assert set(tokens["scope"].split()) == {*LAUNCH.split(), *ticked}
        for search in SEARCHES:
            answer = await fhir(app, "/" + search.format(p=P), tokens["access_token"])
            if search.partition("?")[0] in LIMITED:
                assert answer.status_code == 200, (search, answer.text)
            else:
                assert answer.status_code in {401, 403}, search
                assert answer.json()["resourceType"] == "OperationOutcome"


@dataclass(frozen=True)
class Found:
    """The resources of every page of a search, by `Type/id`."""

    status: int
    resources: dict[str, dict[str, Any]]


async def search(app: App, token: str, verb: str, kind: str, query: str) -> Found:
    """A search by either verb, with every page that follows."""
    headers = {"accept": "application/fhir+json", "authorization": f"Bearer {token}"}
    if verb == "GET":
        response = await app.http.get(f"{app.base}/{kind}?{query}", headers=headers)
    else:
        form = dict(parse_qsl(query))
        response = await app.http.post(f"{app.base}/{kind}/_search", data=form, headers=headers)
    found: dict[str, dict[str, Any]] = {}
    while response.status_code == 200:
        bundle = response.json()
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            if resource["resourceType"] != "OperationOutcome":
                found[f"{resource['resourceType']}/{resource['id']}"] = resource
        following = [one["url"] for one in bundle.get("link", []) if one["relation"] == "next"]
        if not following:
            return Found(200, found)
        assert following[0].startswith(app.base)
        response = await app.http.get(following[0], headers=headers)
    return Found(response.status_code, {})


def matches(resource: dict[str, Any], scopes: tuple[str, ...]) -> bool:
    """Whether any scope of the type grants the resource, as the suite reckons it."""
    wanted = [one.partition("=")[2].lower() for one in scopes if f"/{resource['resourceType']}." in one]
    codings = [coding for category in resource.get("category", []) for coding in category.get("coding", [])]
    return any(f"{one.get('system')}|{one['code']}".lower() in wanted for one in codings)


QUERIES = {
    "Condition": [
        {"patient": P},
        *({"patient": P, "category": one} for one in (
            f"{CONDITION}|encounter-diagnosis", f"{CONDITION}|problem-list-item", f"{US_CORE_CONDITION}|health-concern",
            "health-concern")),
    ],
    "Observation": [
        {"patient": P},
        *({"patient": P, "category": one} for one in (
            f"{OBSERVATION}|laboratory", f"{OBSERVATION}|vital-signs", f"{OBSERVATION}|social-history",
            f"{OBSERVATION}|survey", f"{US_CORE}|sdoh", f"{OBSERVATION}|imaging")),
        {"patient": P, "category": f"{OBSERVATION}|laboratory", "date": "gt2000-01-01"},
        {"patient": P, "category": f"{OBSERVATION}|vital-signs", "date": "lt2000-01-01"},
        {"patient": P, "code": "2708-6"},
        {"patient": P, "code": "http://loinc.org|72166-2"},
        {"patient": P, "_count": "2"},
    ],
}  # fmt: skip


class TestGranular:
    """4.7: `?category=` scopes narrow what is found; they refuse no search."""

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_a_each_scope_comes_back_to_the_letter(self, house: House, scopes: tuple[str, ...]) -> None:
        tokens = await house.tokens(house.app(), " ".join([LAUNCH, "patient/Patient.rs", *scopes]), patient=P)
        granted = tokens["scope"].split()
        assert sorted(granted) == sorted([*LAUNCH.split(), "patient/Patient.rs", *scopes])

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_b_every_earlier_search_finds_what_any_scope_grants(
        self, house: House, scopes: tuple[str, ...]
    ) -> None:
        app = house.app("house-app")
        whole = await house.tokens(app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs", patient=P)
        narrow = await house.tokens(app, " ".join([LAUNCH, *scopes]), patient=P)
        kept = left_out = 0
        for kind, queries in QUERIES.items():
            for query in queries:
                earlier = await search(app, whole["access_token"], "GET", kind, urlencode(query))
                assert earlier.status == 200
                expected = {name for name, one in earlier.resources.items() if matches(one, scopes)}
                for verb in ("GET", "POST"):
                    found = await search(app, narrow["access_token"], verb, kind, urlencode(query))
                    assert set(found.resources) == expected, (verb, kind, query, found.status)
                    assert found.status == 200, (verb, kind, query)
                kept += len(expected)
                left_out += len(earlier.resources) - len(expected)
        assert kept > 10
        assert left_out > 10

    @pytest.mark.requirement("suite-G1", "suite-G2")
    @pytest.mark.parametrize("scopes", [G1, G2], ids=["G1", "G2"])
    async def test_c_and_d_a_read_is_of_the_right_type_or_an_operation_outcome(
        self, house: House, scopes: tuple[str, ...]
    ) -> None:
        app = house.app("house-app")
        whole = await house.tokens(app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs", patient=P)
        token = (await house.tokens(app, " ".join([LAUNCH, *scopes]), patient=P))["access_token"]
        seen = {True: 0, False: 0}
        for kind in QUERIES:
            everything = await search(app, whole["access_token"], "GET", kind, f"patient={P}")
            for name, resource in everything.resources.items():
                answer, granted = await fhir(app, f"/{name}", token), matches(resource, scopes)
                assert (answer.status_code == 200) is granted, name
                assert answer.json()["resourceType"] == (kind if granted else "OperationOutcome")
                assert answer.headers["content-type"].startswith("application/fhir+json")
                seen[granted] += 1
        assert min(seen.values()) > 2

    async def test_e_a_person_picks_categories(self, house: House) -> None:
        app = house.app()
        person, page = await house.consent_page(
            app, f"{LAUNCH} patient/Condition.rs patient/Observation.rs patient/Patient.rs", patient=P
        )
        picks: dict[str, str | list[str]] = {}
        for scopes in ((G1[0], G2[0], G1[1]), (G1[2], G1[3], G2[1], G2[2], G2[3])):
            row = row_of(page, scopes[0])
            assert set(scopes) <= set(page.form("/consent").choices[f"part-{row}"])
            picks |= {f"use-{row}": "some", f"part-{row}": list(scopes[:2])}
        page = await person.agree(page, **picks)
        granted = (await app.exchange(page.parameters["code"])).json()["scope"].split()
        for kind in QUERIES:
            assert [one for one in granted if re.fullmatch(rf"patient/{kind}\.c?r?u?d?s?", one)] == []
            assert [one for one in granted if re.fullmatch(rf"patient/{kind}\.rs\?.+=.+", one)]
        assert "patient/Patient.rs" in granted


class TestBackend:
    async def _ask(self, house: House, **changes: str | None) -> httpx2.Response:
        app = house.app("backend")
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs", "client_assertion_type": JWT_BEARER,
                "client_assertion": app.assertion(), **changes}  # fmt: skip
        return await app.post("/token", form)

    @pytest.mark.requirement("suite-B1", "suite-B2", "suite-B3")
    async def test_b1_b2_b3(self, house: House) -> None:
        assert (await self._ask(house, grant_type="not_a_grant_type")).status_code == 400
        assert (await self._ask(house, client_assertion_type="not_an_assertion_type")).status_code == 400
        wrong = house.app("backend").assertion(iss="not_a_valid_iss")
        assert (await self._ask(house, client_assertion=wrong)).status_code in {400, 401}

    @pytest.mark.requirement("suite-B4", "suite-B5")
    @pytest.mark.parametrize("key", [ASYMMETRIC_KEY, BACKEND_KEY], ids=["ES384", "RS384"])
    async def test_b4_b5(self, house: House, key: Any) -> None:
        """No iat, no nbf, no jku and no client_id, as the suites send it."""
        if key is BACKEND_KEY:
            answer = await self._ask(house)
            assert answer.status_code == 200
            body = answer.json()
            assert {"access_token", "token_type", "expires_in", "scope"} <= set(body)
            assert type(body["expires_in"]) is int
            return
        app = house.app("asymmetric-app")
        tokens = await house.tokens(app, f"{LAUNCH} patient/*.rs")
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200


class TestIntrospectionAndRevocation:
    @pytest.mark.requirement("suite-I1", "suite-I2", "suite-I3")
    async def test_i1_i2_i3(self, house: House) -> None:
        tokens = await house.tokens(house.app(), f"{LAUNCH} patient/*.rs")
        keys = KeySet.import_key_set((await house.http.get(f"{house.issuer}/jwks")).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        server = house.app("https://symmetric.example")
        active = (await server.post("/introspect", {"token": tokens["access_token"]})).json()
        assert active["active"] is True
        assert type(active["exp"]) is int
        assert active["client_id"] == "public-app"
        assert sorted(active["scope"].split()) == sorted(tokens["scope"].split())
        assert active["patient"] == tokens["patient"]
        assert [active[name] for name in ("iss", "sub", "fhirUser")] == [claims[x] for x in ("iss", "sub", "fhirUser")]
        invalid = await server.post("/introspect", {"token": "invalid_token_value"})
        assert (invalid.status_code, invalid.json()) == (200, {"active": False})

    @pytest.mark.requirement("suite-V1")
    async def test_v1(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, f"{LAUNCH} patient/*.rs")
        await app.post("/revoke", {"token": tokens["refresh_token"]})
        assert (await fhir(app, "/Patient/pat-a", tokens["access_token"])).status_code in {401, 403, 404}
        assert (await app.refresh(tokens["refresh_token"])).status_code in {400, 401}
