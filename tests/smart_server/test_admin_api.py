"""The admin API (checklist 1.2): the admin token, clients and local users."""

from typing import Any

import httpx2
import pytest

from gateway.credentials.passwords import hash_password
from tests.credentials.signed_tokens import private_key, published_jwk
from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import ADMIN_TOKEN, CALLBACK, RunningServer, run_smart_server
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid patient/Patient.r"
ENTRY = {"client_id": "added", "name": "Added", "redirect_uris": [CALLBACK]}


def entry_problems(response: httpx2.Response, status: int = 400) -> list[str]:
    """The problems of a refused entry."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"problems"}
    return list(response.json()["problems"])


async def read_stored(server: RunningServer, key: str) -> str:
    """The value of a key in the store."""
    assert server.gateway._smart_server is not None
    return (await server.gateway._smart_server.store.get(key) or b"").decode()


class TestDoor:
    @pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "wrong"])
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/clients"),
            ("POST", "/clients"),
            ("GET", "/clients/public-app"),
            ("DELETE", "/clients/public-app"),
            ("POST", "/users"),
            ("POST", "/token"),
            ("POST", "/keys/rotate"),
        ],
    )
    async def test_nothing_is_done_without_the_admin_token(
        self, server: RunningServer, method: str, path: str, authorization: str | None
    ) -> None:
        headers = {} if authorization is None else {"authorization": authorization}
        response = await server.http.request(method, f"{server.issuer}/admin{path}", headers=headers, json=ENTRY)
        assert len(entry_problems(response, 401)) == 1
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert (await admin_request(server, "GET", "/clients/added")).status_code == 404

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PATCH", "/clients/public-app"),
            ("GET", "/users"),
            ("POST", "/users/disable"),
            ("POST", "/users/enable"),
            ("POST", "/users/remove"),
            ("POST", "/users/password"),
            ("POST", "/sessions/end"),
            ("GET", "/grants?user=doctor"),
            ("POST", "/grants/end"),
        ],
    )
    async def test_nothing_is_ended_with_a_wrong_token(self, server: RunningServer, method: str, path: str) -> None:
        headers = {"authorization": "Bearer wrong"}
        url = f"{server.issuer}/admin{path}"
        response = await server.http.request(method, url, headers=headers, json={"user": "doctor"})
        assert len(entry_problems(response, 401)) == 1

    async def test_no_token_of_an_app_opens_it(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), SCOPE)
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await server.http.get(f"{server.issuer}/admin/clients", headers=headers)).status_code == 401

    async def test_without_an_admin_token_in_the_configuration_there_is_no_way_in(self, fhir_server: str) -> None:
        def closed(settings: dict[str, Any]) -> None:
            del settings["smart_server"]["admin_token"]

        async with run_smart_server(fhir_server, change=closed) as server:
            assert (await admin_request(server, "GET", "/clients")).status_code == 401
            empty = {"authorization": "Bearer "[:-1]}
            assert (await server.http.get(f"{server.issuer}/admin/clients", headers=empty)).status_code == 401


class TestClients:
    @pytest.mark.requirement("R-1", "R-2", "R-3")
    async def test_an_added_client_works_at_once_is_listed_and_shown(self, server: RunningServer) -> None:
        assert await register_client(server, "fresh", purpose="Shows how a child grows.") == {
            "client_id": "fresh", "name": "fresh", "redirect_uris": [CALLBACK], "purpose": "Shows how a child grows.",
        }  # fmt: skip
        assert (await server.request_tokens(server.app("fresh"), SCOPE))["patient"] == "pat-a"
        listed = (await admin_request(server, "GET", "/clients")).json()["clients"]
        assert {"client_id": "fresh", "name": "fresh", "authentication": "none", "disabled": False,
                "without_pkce": False, "from": "registration"} in listed  # fmt: skip
        assert [client["from"] for client in listed if client["client_id"] == "public-app"] == ["configuration"]
        response = (await admin_request(server, "GET", "/clients/fresh")).json()
        assert response["redirect_uris"] == [CALLBACK]

    @pytest.mark.requirement("R-3")
    async def test_a_client_without_an_id_is_given_one(self, server: RunningServer) -> None:
        response = await admin_request(server, "POST", "/clients", {"name": "Nameless", "redirect_uris": [CALLBACK]})
        assert response.status_code == 201
        assert len(response.json()["client_id"]) >= 16

    @pytest.mark.requirement("R-5")
    async def test_a_secret_is_told_once_and_kept_as_its_hash(self, server: RunningServer) -> None:
        body = await register_client(server, "secretive", type="confidential-symmetric")
        secret = body["client_secret"]
        assert len(secret) >= 32
        assert "client_secret_hash" not in body
        app = App(server.issuer, server.base, server.http, "secretive", secret=secret)
        assert (await server.request_tokens(app, SCOPE))["patient"] == "pat-a"
        stored = await read_stored(server, "client:secretive")
        assert secret not in stored
        assert "$argon2id$" in stored
        for path in ("/clients", "/clients/secretive"):
            response = (await admin_request(server, "GET", path)).text
            assert "argon2" not in response
            assert secret not in response

    async def test_a_secret_of_the_operators_choice_is_hashed_too_and_not_told_again(
        self, server: RunningServer
    ) -> None:
        secret = "a secret of the operator's choice"
        body = await register_client(server, "chosen", type="confidential-symmetric", client_secret=secret)
        assert {"client_secret", "client_secret_hash"}.isdisjoint(body)
        assert secret not in await read_stored(server, "client:chosen")
        app = App(server.issuer, server.base, server.http, "chosen", secret=secret)
        assert oauth_error(await app.exchange("BAD_CODE")) == "invalid_grant"
        hashed = hash_password(secret)
        await register_client(server, "hashed", type="confidential-symmetric", client_secret_hash=hashed)
        app.client_id = "hashed"
        assert oauth_error(await app.exchange("BAD_CODE")) == "invalid_grant"

    @pytest.mark.requirement("R-2", "R-5", "R-9", "R-10", "R-11")
    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            ({"redirect_uris": []}, ["redirect_uris"]),
            ({"redirect_uris": ["https://*.example/callback"]}, ["redirect_uris"]),
            ({"redirect_uris": [f"{CALLBACK}#x"]}, ["redirect_uris"]),
            ({"redirect_uris": ["javascript:alert(1)"]}, ["redirect_uris"]),
            ({"name": "", "scopes": "patient/Nonsense.rs", "logo": "x"}, ["name", "scopes", "logo"]),
            ({"type": "secret"}, ["type"]),
            ({"unheard_of": 1, "may_refresh": "maybe"}, ["unheard_of", "may_refresh"]),
            ({"client_secret": "x" * 32}, ["client_secret"]),
            ({"type": "confidential-symmetric", "client_secret": ""}, ["client_secret"]),
            ({"type": "confidential-symmetric", "client_secret": "x", "client_secret_hash": "y"}, ["client_secret"]),
            ({"type": "confidential-asymmetric"}, ["jwks", "jwks_uri"]),
            ({"type": "confidential-asymmetric", "jwks": {"keys": []}}, ["jwks"]),
            (
                {"type": "confidential-asymmetric", "jwks": {"keys": [published_jwk(private_key("ES384"), None)]}},
                ["jwks", "kid"],
            ),
            (
                {"type": "confidential-asymmetric", "jwks": {"keys": [published_jwk(private_key("ES384"))] * 2}},
                ["jwks", "kid"],
            ),
            ({"require_pkce": "sometimes"}, ["require_pkce"]),
            ({"grant_types": ["client_credentials"]}, ["grant_types", "scopes"]),
            ({"access_token_seconds": 86401}, ["access_token_seconds"]),
            ({"grant_types": ["client_credentials"], "access_token_seconds": 3601}, ["access_token_seconds"]),
            ({"grant_types": ["password"]}, ["grant_types"]),
            ({"grant_types": [], "redirect_uris": []}, ["grant_types"]),
            ({"grant_types": [], "redirect_uris": [], "may_introspect": True}, ["grant_types"]),
            ({"client_id": "with space"}, ["client_id"]),
            ({"client_id": 7, "name": None}, ["client_id", "name"]),
        ],
        ids=lambda value: str(value)[:70] if isinstance(value, dict) else None,
    )
    async def test_a_wrong_entry_is_refused_with_every_problem(
        self, server: RunningServer, entry: dict[str, Any], named: list[str]
    ) -> None:
        members = {**ENTRY, "client_id": "refused", **entry}
        problems = entry_problems(await admin_request(server, "POST", "/clients", members))
        for name in named:
            assert any(name in problem for problem in problems), problems
        assert (await admin_request(server, "GET", "/clients/refused")).status_code == 404

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"x"'])
    async def test_what_is_no_entry_at_all_is_refused(self, server: RunningServer, body: bytes) -> None:
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        for path in ("/clients", "/users", "/token"):
            response = await server.http.post(f"{server.issuer}/admin{path}", content=body, headers=headers)
            assert len(entry_problems(response)) == 1

    @pytest.mark.requirement("R-7")
    async def test_a_secret_that_can_be_guessed_is_refused_outside_of_development(self, server: RunningServer) -> None:
        entry = {"client_id": "weak", "name": "W", "redirect_uris": [CALLBACK], "type": "confidential-symmetric"}
        smart_server = server.gateway._smart_server
        assert smart_server is not None
        dependencies = smart_server.background_refresh._dependencies
        object.__setattr__(dependencies, "allows_weak_secrets", False)
        try:
            weak = await admin_request(server, "POST", "/clients", {**entry, "client_secret": "abc"})
            strong = await admin_request(server, "POST", "/clients", {**entry, "client_secret": "0123456789abcdef"})
        finally:
            object.__setattr__(dependencies, "allows_weak_secrets", True)
        assert weak.status_code == 400
        assert weak.json()["problems"][0].startswith("client_secret: must have at least 16 characters")
        assert strong.status_code == 201

    async def test_a_client_of_the_configuration_is_changed_only_there(self, server: RunningServer) -> None:
        entry = {**ENTRY, "client_id": "public-app", "redirect_uris": ["https://evil.example/callback"]}
        assert "configuration" in entry_problems(await admin_request(server, "POST", "/clients", entry), 409)[0]
        assert (await admin_request(server, "DELETE", "/clients/public-app")).status_code == 409
        assert (await admin_request(server, "PATCH", "/clients/public-app", {"name": "X"})).status_code == 409
        response = (await admin_request(server, "GET", "/clients/public-app")).json()
        assert response["from"] == "configuration"
        assert (await server.request_tokens(server.app(), SCOPE))["patient"] == "pat-a"

    async def test_a_disabled_client_gets_nothing_until_it_is_added_again(self, server: RunningServer) -> None:
        await register_client(server, "paused")
        app = server.app("paused")
        assert (await admin_request(server, "DELETE", "/clients/paused")).json() == {
            "client_id": "paused",
            "disabled": True,
        }
        listed = (await admin_request(server, "GET", "/clients")).json()["clients"]
        assert [client["disabled"] for client in listed if client["client_id"] == "paused"] == [True]
        page = await server.person().open(app.authorization_url(SCOPE))
        assert (page.status, page.left_for) == (400, None)
        await replace_client(server, "paused")
        assert (await server.request_tokens(app, SCOPE))["patient"] == "pat-a"
        assert (await admin_request(server, "DELETE", "/clients/nobody")).status_code == 404

    async def test_an_id_that_is_a_url_can_be_shown_and_disabled(self, server: RunningServer) -> None:
        await register_client(server, "https://app.example/client")
        path = "/clients/https://app.example/client"
        assert (await admin_request(server, "GET", path)).status_code == 200
        assert (await admin_request(server, "DELETE", path)).status_code == 200


class TestUsers:
    async def test_an_added_user_signs_in_and_the_password_is_kept_as_its_hash(self, server: RunningServer) -> None:
        user = {"username": "newcomer", "name": "Nora New", "password": "a new password",
                "fhir_user": "Practitioner/practitioner-3"}  # fmt: skip
        response = await admin_request(server, "POST", "/users", user)
        assert (response.status_code, response.json()) == (201, {"username": "newcomer"})
        stored = await read_stored(server, "user:newcomer")
        assert "a new password" not in stored
        assert "$argon2id$" in stored
        person = server.person()
        page = await person.open(server.app().authorization_url(SCOPE))
        assert "Nora New" not in (await person.sign_in(page, "newcomer", "another password")).text
        page = await person.sign_in(
            await person.open(server.app().authorization_url(SCOPE)), "newcomer", "a new password"
        )
        assert page.form("/patient").method == "post"

    @pytest.mark.parametrize(
        ("user", "named"),
        [
            ({"name": "X"}, ["username", "password_hash"]),
            ({"username": "x", "name": "X", "password": ""}, ["password_hash"]),
            ({"username": "x", "name": "X", "password": "x", "fhir_user": "Device/1"}, ["fhir_user"]),
            ({"username": "x", "name": "X", "password": "x", "role": "root"}, ["role"]),
            ({"username": "", "name": "", "password": "x"}, ["username", "name"]),
        ],
    )
    async def test_a_wrong_entry_is_refused_with_every_problem(
        self, server: RunningServer, user: dict[str, Any], named: list[str]
    ) -> None:
        problems = entry_problems(await admin_request(server, "POST", "/users", user))
        for name in named:
            assert any(name in problem for problem in problems), problems

    async def test_a_user_of_the_configuration_is_changed_only_there(self, server: RunningServer) -> None:
        user = {
            "username": "doctor",
            "name": "Impostor",
            "password": "mine",
            "fhir_user": "Practitioner/practitioner-2",
        }
        assert "configuration" in entry_problems(await admin_request(server, "POST", "/users", user), 409)[0]
        assert (await server.request_tokens(server.app(), SCOPE))["patient"] == "pat-a"
