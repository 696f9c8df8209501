"""Backend services (checklist 1.11, edge cases 78-83): what a client gets in its own name, and what never."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import House, jwks, smart_house
from tests.smart.later import Later
from tests.smart.test_code_exchange import error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = ECKey.generate_key("P-384", parameters={"kid": "service-1"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[House, Later]]:
    """A house whose time passes when a test says so."""
    async with smart_house(fhir_server) as house:
        yield house, Later(house)


async def service(house: House, client_id: str, scopes: str, **entry: Any) -> App:
    """A backend service that an operator allowed these scopes."""
    entry = {"type": "confidential-asymmetric", "jwks": jwks(KEY), "redirect_uris": [],
             "grant_types": ["client_credentials"], **entry}  # fmt: skip
    await register(house, client_id, scopes=scopes, **entry)
    return App(house.issuer, house.base, house.http, client_id, key=KEY)


async def ask(app: App, scope: str | None, **changes: str | None) -> httpx2.Response:
    """The token request of the guide."""
    return await app.post("/token", {"grant_type": "client_credentials", "scope": scope, **changes})


async def granted(app: App, scope: str) -> dict[str, Any]:
    """The token response."""
    response = await ask(app, scope)
    assert response.status_code == 200, response.text
    return dict(response.json())


class TestAnswer:
    @pytest.mark.requirement(
        "BS-1", "BS-2", "BS-6", "BS-7", "BS-9", "RF-9", "T-12", "CA-2", "edge-81", "edge-83", "suite-B4"
    )
    @pytest.mark.parametrize("kind", ["RS384", "ES384"])
    async def test_it_has_a_short_lived_token_and_nothing_to_refresh_it_with(self, house: House, kind: str) -> None:
        scope = "system/Patient.rs system/Observation.rs"
        app = house.app("backend") if kind == "RS384" else await service(house, "elliptic", scope)
        response = await ask(app, scope)
        assert response.status_code == 200
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        body = response.json()
        assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
        assert body["token_type"].lower() == "bearer"
        assert body["expires_in"] == 300
        assert type(body["expires_in"]) is int
        assert set(body["scope"].split()) == set(scope.split())

    @pytest.mark.requirement("BS-7", "BS-13", "RS-1", "edge-81")
    async def test_its_token_is_over_after_five_minutes(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        app = house.app("backend")
        token = (await granted(app, "system/Patient.r"))["access_token"]
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        later.wait(301)
        assert (await app.read("/Patient/pat-a", token)).status_code == 401

    @pytest.mark.requirement("BS-8", "BS-10", "BS-13", "RS-2", "RS-8")
    async def test_the_token_opens_what_it_says_for_every_patient_and_the_rest_is_refused_not_empty(
        self, house: House
    ) -> None:
        app = house.app("backend")
        token = (await granted(app, "system/Patient.r system/Observation.rs"))["access_token"]
        for path in ("/Patient/pat-a", "/Patient/pat-b", "/Observation?patient=pat-b", "/Observation"):
            assert (await app.read(path, token)).status_code == 200, path
        for path in ("/Patient", "/Condition", "/Condition?patient=pat-a", "/Encounter"):
            refused = await app.read(path, token)
            assert refused.status_code == 403, path
            assert refused.json()["resourceType"] == "OperationOutcome"
            assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]

    @pytest.mark.requirement("BS-12", "RS-11", "suite-U1")
    async def test_only_the_statement_is_open(self, house: House) -> None:
        assert (await house.http.get(f"{house.base}/metadata")).status_code == 200
        for path in ("/Patient/pat-a", "/Observation", "/", "/Nonsense"):
            closed = await house.http.get(house.base + path)
            assert closed.status_code == 401, path
            assert closed.headers["www-authenticate"].startswith("Bearer realm=")
            assert "error=" not in closed.headers["www-authenticate"]


class TestScope:
    @pytest.mark.requirement("BS-3", "BS-4", "R-10", "edge-80")
    @pytest.mark.parametrize(
        ("asked", "given"),
        [
            ("system/*.rs", "system/Patient.rs system/Observation.rs"),
            ("system/*.cruds", "system/Patient.rs system/Observation.rs"),
            ("system/*.read", "system/Patient.read system/Observation.read"),
            ("system/Patient.r", "system/Patient.r"),
            ("system/Patient.cruds", "system/Patient.rs"),
            ("system/Patient.rs system/Condition.rs", "system/Patient.rs"),
            ("system/Observation.rs?category=laboratory", "system/Observation.rs?category=laboratory"),
            ("system/Patient.rs openid launch offline_access", "system/Patient.rs"),
            ("system/Patient.rs nonsense", "system/Patient.rs"),
        ],
    )
    async def test_what_was_allowed_beforehand_is_given_and_never_more(
        self, house: House, asked: str, given: str
    ) -> None:
        scope = set((await granted(house.app("backend"), asked))["scope"].split())
        # What v1 spells read v2 spells rs: either says the same (SC-26).
        assert {one.replace(".read", ".rs") for one in scope} == {one.replace(".read", ".rs") for one in given.split()}

    @pytest.mark.requirement("BS-4", "BS-5", "BS-10", "edge-79")
    @pytest.mark.parametrize(
        "asked",
        ["patient/*.rs", "user/*.rs", "patient/Patient.rs launch/patient", "launch", "openid", "openid fhirUser",
         "offline_access", "system/Condition.rs", "system/Patient.cud", "__other", "nonsense", "system/Patient.sr"],
    )  # fmt: skip
    async def test_what_was_not_allowed_fails_at_once(self, house: House, asked: str) -> None:
        assert error_of(await ask(house.app("backend"), asked)) == "invalid_scope"

    @pytest.mark.requirement("BS-2", "edge-78")
    @pytest.mark.parametrize("scope", [None, ""], ids=["none", "an empty one"])
    async def test_without_a_scope_nothing_is_given(self, house: House, scope: str | None) -> None:
        assert error_of(await ask(house.app("backend"), scope)) == "invalid_request"

    async def test_a_granular_scope_is_enforced(self, house: House) -> None:
        app = await service(house, "labs-service", "system/Observation.rs?category=laboratory")
        body = await granted(app, "system/*.rs")
        assert body["scope"] == "system/Observation.rs?category=laboratory"
        found = (await app.read("/Observation?_count=100", body["access_token"])).json()["entry"]
        codes = [
            {coding["code"] for category in one["resource"]["category"] for coding in category["coding"]}
            for one in found
        ]
        assert codes
        assert all("laboratory" in one for one in codes)

    async def test_a_strict_client_is_told_of_what_is_not_understood(self, house: House) -> None:
        app = await service(house, "strict-service", "system/Patient.rs", strict_scopes=True)
        assert error_of(await ask(app, "system/Patient.rs nonsense")) == "invalid_scope"
        assert (await granted(app, "system/Patient.r"))["scope"] == "system/Patient.r"

    @pytest.mark.requirement("EX-1", "EX-2")
    async def test_a_scope_of_ones_own_is_told_where_it_was_allowed(self, house: House) -> None:
        assert (await granted(house.app("backend"), "__introspect"))["scope"] == "__introspect"


class TestProof:
    @pytest.mark.requirement("BS-1", "CS-2", "edge-82")
    async def test_a_secret_is_no_proof_for_it(self, house: House) -> None:
        for client_id in ("old-app", "https://symmetric.example"):
            assert error_of(await ask(house.app(client_id), "system/Patient.r")) == "unauthorized_client"
        for kind in ("public", "confidential-symmetric"):
            entry = {"client_id": "secretive", "name": "Secretive", "type": kind, "scopes": "system/Patient.rs",
                     "grant_types": ["client_credentials"]}  # fmt: skip
            refused = await administer(house, "POST", "/clients", entry)
            assert refused.status_code == 400
            assert "client_credentials" in str(refused.json()["problems"])

    @pytest.mark.requirement("BS-1", "BS-5")
    async def test_nobody_gets_in_without_proof(self, house: House) -> None:
        nobody = App(house.issuer, house.base, house.http, "backend")
        assert error_of(await ask(nobody, "system/Patient.r")) == "invalid_client"
        assert error_of(await ask(nobody, "system/Patient.r", client_id=None)) == "invalid_client"

    @pytest.mark.requirement("R-10")
    async def test_it_cannot_be_registered_without_scopes(self, house: House) -> None:
        entry = {"client_id": "unlimited", "name": "Unlimited", "type": "confidential-asymmetric", "jwks": jwks(KEY),
                 "grant_types": ["client_credentials"]}  # fmt: skip
        refused = await administer(house, "POST", "/clients", entry)
        assert refused.status_code == 400
        assert "scopes" in str(refused.json()["problems"])
