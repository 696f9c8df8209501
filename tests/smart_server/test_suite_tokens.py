"""The token requests of the public conformance suites (clients-and-suites.md 4.2-4.5, 4.8-4.10)."""

import uuid
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.oauth.pkce import code_challenge
from tests.smart_server.running_server import ASYMMETRIC_KEY, BACKEND_KEY, SECRET, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App
from tests.smart_server.suite_requests import LAUNCH, read_fhir

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

US_CORE_TYPES = (
    "Patient", "AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport", "DocumentReference",
    "Goal", "Immunization", "MedicationRequest", "Observation", "Procedure", "Provenance", "ServiceRequest", "Coverage",
    "MedicationDispense", "Specimen",
)  # fmt: skip


class TestTokens:
    @pytest.mark.requirement("suite-B5")
    @pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example", "asymmetric-app"])
    async def test_the_token_response_and_its_refresh(self, server: RunningServer, client_id: str) -> None:
        """4.2: the granted scopes have the form of the request: `.rs` stays `.rs`, `.read` stays `.read`."""
        app = server.app(client_id)
        for words in ("patient/Observation.rs patient/Patient.rs", "patient/Observation.read patient/Patient.read"):
            first = await app.exchange(await server.request_code(app, f"{LAUNCH} {words}"))
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
    async def test_p(self, server: RunningServer, row: str) -> None:
        app = server.app()
        verifier = {"P1": None, "P2": "", "P3": f"{uuid.uuid4()}-{uuid.uuid4()}", "P4": code_challenge(app.verifier)}[
            row
        ]
        code = await server.request_code(app, f"{LAUNCH} patient/*.rs")
        assert (await app.exchange(code, code_verifier=verifier)).status_code in {400, 401}

    @pytest.mark.requirement("suite-A1")
    @pytest.mark.parametrize("aud", ["https://other.example/fhir", "{base}/other", "{root}"])
    async def test_a1(self, server: RunningServer, aud: str) -> None:
        app = server.app()
        url = app.authorization_url(f"{LAUNCH} patient/*.rs", aud=aud.format(base=server.base, root=server.root))
        page = await server.person().open(url)
        assert "code" not in page.parameters
        assert page.parameters["error"] == "invalid_request"
        assert page.parameters["state"] == app.state

    @pytest.mark.requirement("suite-C1", "suite-C2", "suite-R1", "suite-U1")
    async def test_c_r_u(self, server: RunningServer) -> None:
        app = server.app("old-app")
        assert (await app.exchange("BAD_CODE")).status_code == 400
        code = await server.request_code(app, f"{LAUNCH} patient/*.rs")
        stranger = App(server.issuer, server.base, server.http, "BAD_CLIENT_ID", secret=SECRET, verifier=app.verifier)
        assert (await stranger.exchange(code)).status_code in {400, 401}
        tokens = (await app.exchange(code)).json()
        assert (await app.refresh(str(uuid.uuid4()))).status_code in {400, 401}
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200
        assert (await read_fhir(app, "/Patient/pat-a", None)).status_code == 401
        assert (await read_fhir(app, "/Patient/pat-a", tokens["access_token"])).status_code == 200

    async def test_the_id_token(self, server: RunningServer) -> None:
        """4.4: the user's own resource can be read although no resource scope names its type."""
        app = server.app()
        tokens = await server.request_tokens(app, f"{LAUNCH} patient/*.rs")
        openid = (await server.http.get(f"{server.issuer}/.well-known/openid-configuration")).json()
        keys = KeySet.import_key_set((await server.http.get(openid["jwks_uri"])).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["iss"] == openid["issuer"]
        resource_type, resource_id = claims["fhirUser"].split("/")[-2:]
        assert resource_type in {"Patient", "Practitioner", "RelatedPerson", "Person"}
        answer = await read_fhir(app, f"/{resource_type}/{resource_id}", tokens["access_token"])
        assert answer.status_code == 200
        assert answer.json()["resourceType"] == resource_type

    @pytest.mark.parametrize(
        "scope",
        [
            "patient/*.rs",
            "patient/*.read",
            " ".join(
                [
                    *(f"patient/{resource_type}.rs" for resource_type in US_CORE_TYPES),
                    "user/Location.rs user/Organization.rs",
                ]
            ),
        ],
        ids=["v2", "v1", "type by type"],
    )
    async def test_the_granted_scope(self, server: RunningServer, scope: str) -> None:
        """4.5: the granted scope has the form of the request."""
        granted = (await server.request_tokens(server.app(), f"{LAUNCH} {scope}"))["scope"].split()
        assert sorted(granted) == sorted(f"{LAUNCH} {scope}".split())


class TestBackend:
    async def _request_token(self, server: RunningServer, **changes: str | None) -> httpx2.Response:
        app = server.app("backend")
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs", "client_assertion_type": JWT_BEARER,
                "client_assertion": app.assertion(), **changes}  # fmt: skip
        return await app.post("/token", form)

    @pytest.mark.requirement("suite-B1", "suite-B2", "suite-B3")
    async def test_b1_b2_b3(self, server: RunningServer) -> None:
        assert (await self._request_token(server, grant_type="not_a_grant_type")).status_code == 400
        assert (await self._request_token(server, client_assertion_type="not_an_assertion_type")).status_code == 400
        wrong = server.app("backend").assertion(iss="not_a_valid_iss")
        assert (await self._request_token(server, client_assertion=wrong)).status_code in {400, 401}

    @pytest.mark.requirement("suite-B4", "suite-B5")
    @pytest.mark.parametrize("key", [ASYMMETRIC_KEY, BACKEND_KEY], ids=["ES384", "RS384"])
    async def test_b4_b5(self, server: RunningServer, key: Any) -> None:
        """No iat, nbf, jku or client_id, as the suites send the request."""
        if key is BACKEND_KEY:
            answer = await self._request_token(server)
            assert answer.status_code == 200
            body = answer.json()
            assert {"access_token", "token_type", "expires_in", "scope"} <= set(body)
            assert type(body["expires_in"]) is int
            return
        app = server.app("asymmetric-app")
        tokens = await server.request_tokens(app, f"{LAUNCH} patient/*.rs")
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200


class TestIntrospectionAndRevocation:
    @pytest.mark.requirement("suite-I1", "suite-I2", "suite-I3")
    async def test_i1_i2_i3(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), f"{LAUNCH} patient/*.rs")
        keys = KeySet.import_key_set((await server.http.get(f"{server.issuer}/jwks")).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        resource_server = server.app("https://symmetric.example")
        active = (await resource_server.post("/introspect", {"token": tokens["access_token"]})).json()
        assert active["active"] is True
        assert type(active["exp"]) is int
        assert active["client_id"] == "public-app"
        assert sorted(active["scope"].split()) == sorted(tokens["scope"].split())
        assert active["patient"] == tokens["patient"]
        assert [active[name] for name in ("iss", "sub", "fhirUser")] == [claims[x] for x in ("iss", "sub", "fhirUser")]
        invalid = await resource_server.post("/introspect", {"token": "invalid_token_value"})
        assert (invalid.status_code, invalid.json()) == (200, {"active": False})

    @pytest.mark.requirement("suite-V1")
    async def test_v1(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, f"{LAUNCH} patient/*.rs")
        await app.post("/revoke", {"token": tokens["refresh_token"]})
        assert (await read_fhir(app, "/Patient/pat-a", tokens["access_token"])).status_code in {401, 403, 404}
        assert (await app.refresh(tokens["refresh_token"])).status_code in {400, 401}
