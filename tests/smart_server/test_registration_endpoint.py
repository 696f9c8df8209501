"""`/register`: apps register themselves (checklist R-4)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from tests.smart_server.admin_client import admin_request
from tests.smart_server.running_server import CALLBACK, RunningServer, public_jwks, run_smart_server
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = ECKey.generate_key("P-384", parameters={"kid": "service-1"})
SCOPE = "launch/patient openid patient/Patient.r"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with dynamic client registration."""

    def opened(settings: dict[str, Any]) -> None:
        settings["smart_server"]["registration"] = True

    async with run_smart_server(fhir_server, change=opened) as server:
        yield server


METADATA: dict[str, Any] = {"client_name": "Self-made", "redirect_uris": [CALLBACK]}


class TestRegistration:
    @pytest.mark.requirement("R-1", "R-4")
    async def test_it_is_off_unless_the_operator_turns_it_on(self, server: RunningServer) -> None:
        response = await server.http.post(f"{server.issuer}/register", json=METADATA)
        assert response.status_code == 404
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        assert "registration_endpoint" not in document

    @pytest.mark.requirement("R-3", "R-4", "R-5")
    @pytest.mark.parametrize("method", ["none", "client_secret_basic", "private_key_jwt", None])
    async def test_an_app_of_each_kind_registers_itself_and_works(
        self, open_house: RunningServer, method: str | None
    ) -> None:
        server = open_house
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        metadata = {
            **METADATA,
            "grant_types": ["authorization_code", "refresh_token"],
            "client_uri": "https://x.example",
        }
        metadata |= {} if method is None else {"token_endpoint_auth_method": method}
        metadata |= {"jwks": public_jwks(KEY)} if method == "private_key_jwt" else {}
        response = await server.http.post(document["registration_endpoint"], json=metadata)
        assert response.status_code == 201, response.text
        assert response.headers["cache-control"] == "no-store"
        body = response.json()
        assert body["redirect_uris"] == [CALLBACK]
        assert body["client_name"] == "Self-made"
        assert body["token_endpoint_auth_method"] == (method or "client_secret_basic")
        assert type(body["client_id_issued_at"]) is int
        assert "client_uri" not in body
        has_secret = method in {None, "client_secret_basic"}
        assert (body.get("client_secret_expires_at") == 0) is has_secret
        app = App(server.issuer, server.base, server.http, body["client_id"], secret=body.get("client_secret"),
                  key=KEY if method == "private_key_jwt" else None)  # fmt: skip
        person, page = await server.open_consent_page(app, SCOPE)
        assert page.left_for is None
        assert "Self-made" in page.text
        response = await app.exchange((await person.agree(page)).parameters["code"])
        assert response.json()["patient"] == "pat-a"

    @pytest.mark.requirement("R-10", "BS-4")
    @pytest.mark.parametrize(
        "grants",
        [["client_credentials"], ["authorization_code", "client_credentials"], "client_credentials", ["password"], [7]],
    )
    async def test_nobody_makes_a_backend_service_of_themselves(
        self, open_house: RunningServer, grants: object
    ) -> None:
        metadata = {**METADATA, "token_endpoint_auth_method": "private_key_jwt", "jwks": public_jwks(KEY),
                    "grant_types": grants, "scope": "system/*.rs"}  # fmt: skip
        response = await open_house.http.post(f"{open_house.issuer}/register", json=metadata)
        assert response.status_code == 400
        assert response.json()["error"] == "invalid_client_metadata"

    @pytest.mark.requirement("R-4", "R-11")
    async def test_what_only_an_operator_may_grant_is_not_taken(self, open_house: RunningServer) -> None:
        server = open_house
        metadata = {**METADATA, "token_endpoint_auth_method": "none", "skip_consent": True, "may_introspect": True,
                    "client_id": "public-app", "require_pkce": False}  # fmt: skip
        body = (await server.http.post(f"{server.issuer}/register", json=metadata)).json()
        assert body["client_id"] != "public-app"
        assert {"skip_consent", "may_introspect", "require_pkce"}.isdisjoint(body)
        response = (await admin_request(server, "GET", f"/clients/{body['client_id']}")).json()
        assert {"skip_consent", "may_introspect", "require_pkce"}.isdisjoint(response)

    @pytest.mark.requirement("R-2", "R-4")
    @pytest.mark.parametrize(
        ("metadata", "error"),
        [
            ({}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://x.example/*"]}, "invalid_redirect_uri"),
            ({"redirect_uris": "https://x.example/"}, "invalid_redirect_uri"),
            ({**METADATA, "token_endpoint_auth_method": "client_secret_post"}, "invalid_client_metadata"),
            ({**METADATA, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
            ({**METADATA, "token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
            ({**METADATA, "scope": "nonsense"}, "invalid_client_metadata"),
            ({**METADATA, "client_name": 7}, "invalid_client_metadata"),
            ([], "invalid_client_metadata"),
        ],
    )
    async def test_wrong_metadata_is_refused_in_the_words_of_rfc_7591(
        self, open_house: RunningServer, metadata: object, error: str
    ) -> None:
        response = await open_house.http.post(f"{open_house.issuer}/register", json=metadata)
        assert response.status_code == 400, response.text
        assert response.json()["error"] == error
        assert response.json()["error_description"]

    @pytest.mark.requirement("R-4")
    async def test_people_see_in_words_that_nobody_has_reviewed_it(self, open_house: RunningServer) -> None:
        """RFC 7591 5: its name and its logo may be those of another app."""
        server = open_house
        metadata = {
            **METADATA,
            "token_endpoint_auth_method": "none",
            "logo_uri": "https://logos.example/known.png",
            "policy_uri": "https://self.example/privacy",
            "tos_uri": "https://self.example/terms",
        }
        client_id = (await server.http.post(f"{server.issuer}/register", json=metadata)).json()["client_id"]
        app = server.app(client_id)
        person = server.person()
        login = await person.open(app.authorization_url("openid launch/patient patient/Patient.rs"))
        picker = await person.sign_in(login)
        consent = await person.choose_patient(picker, "pat-a")
        for page in (login, picker, consent):
            assert "This app has registered itself, and nobody here has reviewed it." in page.text
            assert "logos.example" not in page.html + str(page.headers)
        assert 'href="https://self.example/privacy"' in consent.html
        assert 'href="https://self.example/terms"' in consent.html

    async def test_after_some_it_has_to_wait(self, open_house: RunningServer) -> None:
        statuses = [
            (await open_house.http.post(f"{open_house.issuer}/register", content=b"[]")).status_code for _ in range(25)
        ]
        assert statuses[-1] == 429
