"""Backend services (checklist 1.11, edge cases 78-83): client credentials, and their limits."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer, public_jwks, run_smart_server
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = ECKey.generate_key("P-384", parameters={"kid": "service-1"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server with a clock that tests advance."""
    async with run_smart_server(fhir_server) as server:
        yield server, AdjustableClock(server)


async def register_service(server: RunningServer, client_id: str, scopes: str, **entry: Any) -> App:
    """A registered backend service with these scopes."""
    entry = {"type": "confidential-asymmetric", "jwks": public_jwks(KEY), "redirect_uris": [],
             "grant_types": ["client_credentials"], **entry}  # fmt: skip
    await register_client(server, client_id, scopes=scopes, **entry)
    return App(server.issuer, server.base, server.http, client_id, key=KEY)


async def request_token(app: App, scope: str | None, **changes: str | None) -> httpx2.Response:
    """A token request as in the SMART guide."""
    return await app.post("/token", {"grant_type": "client_credentials", "scope": scope, **changes})


async def issue_token(app: App, scope: str) -> dict[str, Any]:
    """The token response."""
    response = await request_token(app, scope)
    assert response.status_code == 200, response.text
    return dict(response.json())


class TestAnswer:
    @pytest.mark.requirement(
        "BS-1", "BS-2", "BS-6", "BS-7", "BS-9", "RF-9", "T-12", "CA-2", "edge-81", "edge-83", "suite-B4"
    )
    @pytest.mark.parametrize("kind", ["RS384", "ES384"])
    async def test_it_has_a_short_lived_token_and_nothing_to_refresh_it_with(
        self, server: RunningServer, kind: str
    ) -> None:
        scope = "system/Patient.rs system/Observation.rs"
        app = server.app("backend") if kind == "RS384" else await register_service(server, "elliptic", scope)
        response = await request_token(app, scope)
        assert response.status_code == 200
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        body = response.json()
        assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
        assert body["token_type"].lower() == "bearer"
        assert body["expires_in"] == 300
        assert type(body["expires_in"]) is int
        assert set(body["scope"].split()) == set(scope.split())

    @pytest.mark.requirement("BS-7", "BS-13", "RS-1", "edge-81")
    async def test_its_token_is_over_after_five_minutes(self, clocked: tuple[RunningServer, AdjustableClock]) -> None:
        server, later = clocked
        app = server.app("backend")
        token = (await issue_token(app, "system/Patient.r"))["access_token"]
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        later.advance(301)
        assert (await app.read("/Patient/pat-a", token)).status_code == 401

    @pytest.mark.requirement("BS-8", "BS-10", "BS-13", "RS-2", "RS-8")
    async def test_the_token_opens_what_it_says_for_every_patient_and_the_rest_is_refused_not_empty(
        self, server: RunningServer
    ) -> None:
        app = server.app("backend")
        token = (await issue_token(app, "system/Patient.r system/Observation.rs"))["access_token"]
        for path in ("/Patient/pat-a", "/Patient/pat-b", "/Observation?patient=pat-b", "/Observation"):
            assert (await app.read(path, token)).status_code == 200, path
        for path in ("/Patient", "/Condition", "/Condition?patient=pat-a", "/Encounter"):
            refused = await app.read(path, token)
            assert refused.status_code == 403, path
            assert refused.json()["resourceType"] == "OperationOutcome"
            assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]

    @pytest.mark.requirement("BS-12", "RS-11", "suite-U1")
    async def test_only_the_statement_is_open(self, server: RunningServer) -> None:
        assert (await server.http.get(f"{server.base}/metadata")).status_code == 200
        for path in ("/Patient/pat-a", "/Observation", "/", "/Nonsense"):
            closed = await server.http.get(server.base + path)
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
        self, server: RunningServer, asked: str, given: str
    ) -> None:
        scope = set((await issue_token(server.app("backend"), asked))["scope"].split())
        # read in v1 is rs in v2 (SC-26).
        assert {item.replace(".read", ".rs") for item in scope} == {
            scope.replace(".read", ".rs") for scope in given.split()
        }

    @pytest.mark.requirement("BS-4", "BS-5", "BS-10", "edge-79")
    @pytest.mark.parametrize(
        "asked",
        ["patient/*.rs", "user/*.rs", "patient/Patient.rs launch/patient", "launch", "openid", "openid fhirUser",
         "offline_access", "system/Condition.rs", "system/Patient.cud", "__other", "nonsense", "system/Patient.sr"],
    )  # fmt: skip
    async def test_what_was_not_allowed_fails_at_once(self, server: RunningServer, asked: str) -> None:
        assert oauth_error(await request_token(server.app("backend"), asked)) == "invalid_scope"

    @pytest.mark.requirement("BS-2", "edge-78")
    @pytest.mark.parametrize("scope", [None, ""], ids=["none", "an empty one"])
    async def test_without_a_scope_nothing_is_given(self, server: RunningServer, scope: str | None) -> None:
        assert oauth_error(await request_token(server.app("backend"), scope)) == "invalid_request"

    async def test_a_granular_scope_is_enforced(self, server: RunningServer) -> None:
        app = await register_service(server, "labs-service", "system/Observation.rs?category=laboratory")
        body = await issue_token(app, "system/*.rs")
        assert body["scope"] == "system/Observation.rs?category=laboratory"
        response = (await app.read("/Observation?_count=100", body["access_token"])).json()["entry"]
        codes = [
            {coding["code"] for category in entry["resource"]["category"] for coding in category["coding"]}
            for entry in response
        ]
        assert codes
        assert all("laboratory" in code for code in codes)

    async def test_a_strict_client_is_told_of_what_is_not_understood(self, server: RunningServer) -> None:
        app = await register_service(server, "strict-service", "system/Patient.rs", strict_scopes=True)
        assert oauth_error(await request_token(app, "system/Patient.rs nonsense")) == "invalid_scope"
        assert (await issue_token(app, "system/Patient.r"))["scope"] == "system/Patient.r"

    @pytest.mark.requirement("EX-1", "EX-2")
    async def test_a_scope_of_ones_own_is_told_where_it_was_allowed(self, server: RunningServer) -> None:
        assert (await issue_token(server.app("backend"), "__introspect"))["scope"] == "__introspect"


class TestProof:
    @pytest.mark.requirement("BS-1", "CS-2", "edge-82")
    async def test_a_secret_is_no_proof_for_it(self, server: RunningServer) -> None:
        for client_id in ("old-app", "https://symmetric.example"):
            assert oauth_error(await request_token(server.app(client_id), "system/Patient.r")) == "unauthorized_client"
        for kind in ("public", "confidential-symmetric"):
            entry = {"client_id": "secretive", "name": "Secretive", "type": kind, "scopes": "system/Patient.rs",
                     "grant_types": ["client_credentials"]}  # fmt: skip
            refused = await admin_request(server, "POST", "/clients", entry)
            assert refused.status_code == 400
            assert "client_credentials" in str(refused.json()["problems"])

    @pytest.mark.requirement("BS-1", "BS-5")
    async def test_nobody_gets_in_without_proof(self, server: RunningServer) -> None:
        nobody = App(server.issuer, server.base, server.http, "backend")
        assert oauth_error(await request_token(nobody, "system/Patient.r")) == "invalid_client"
        assert oauth_error(await request_token(nobody, "system/Patient.r", client_id=None)) == "invalid_client"

    @pytest.mark.requirement("R-10")
    async def test_it_cannot_be_registered_without_scopes(self, server: RunningServer) -> None:
        entry = {"client_id": "unlimited", "name": "Unlimited", "type": "confidential-asymmetric",
                 "jwks": public_jwks(KEY), "grant_types": ["client_credentials"]}  # fmt: skip
        refused = await admin_request(server, "POST", "/clients", entry)
        assert refused.status_code == 400
        assert "scopes" in str(refused.json()["problems"])
