"""`/token` with a code verifier (checklist 1.22): PKCE is required and cannot be bypassed."""

import pytest

from gateway.oauth.pkce import code_challenge
from gateway.telemetry.server_event import EventKind
from tests.smart_server.admin_client import admin_request
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import USER_CLIENTS, RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

PLAIN = "launch/patient patient/Patient.r"


def _wrong_verifiers(app: App) -> dict[str, str | None]:
    return {
        "none": None,
        "an empty one": "",
        "another one": "0" * 43,
        "two joined uuids": "0d2b2b9a-2b7e-4b62-9d35-1f8f3a9f2f11-0d2b2b9a-2b7e-4b62-9d35-1f8f3a9f2f11",
        "the challenge itself": code_challenge(app.verifier),
        "the right one, with a letter more": app.verifier + "x",
        "the right one, in other case": app.verifier.swapcase(),
        "one of 42 characters": "0" * 42,
        "one of 129 characters": "0" * 129,
        "one with other characters": "é" * 50,
    }


class TestVerifier:
    @pytest.mark.requirement("T-2", "T-5", "T-15", "PK-1", "edge-47", "suite-P1", "suite-P2", "suite-P3", "suite-P4")
    @pytest.mark.parametrize("what", list(_wrong_verifiers(App("", "", None))))  # type: ignore[arg-type]  # no request
    async def test_a_wrong_one_is_refused_and_burns_the_code(self, server: RunningServer, what: str) -> None:
        app, person = server.app("house-app"), None
        code = await server.request_code(app, PLAIN, person=person)
        assert oauth_error(await app.exchange(code, code_verifier=_wrong_verifiers(app)[what])) == "invalid_grant"
        assert oauth_error(await app.exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("PK-2", "PK-3", "T-15")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    @pytest.mark.parametrize("length", [43, 128])
    async def test_the_right_one_of_any_length_gets_tokens(
        self, server: RunningServer, client_id: str, length: int
    ) -> None:
        app = server.app(client_id, verifier=("aZ9-._~" * 19)[:length])
        assert "access_token" in await server.request_tokens(app, PLAIN)

    @pytest.mark.requirement("PK-1")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    @pytest.mark.parametrize("method", ["plain", "s256", None])
    async def test_no_code_comes_of_another_method(
        self, server: RunningServer, client_id: str, method: str | None
    ) -> None:
        app = server.app(client_id)
        page = await server.person().open(app.authorization_url(PLAIN, code_challenge_method=method))
        assert page.parameters["error"] == "invalid_request"
        assert "code" not in page.parameters

    @pytest.mark.requirement("PK-2")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_no_code_comes_without_a_challenge(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        page = await server.person().open(app.authorization_url(PLAIN, code_challenge=None, code_challenge_method=None))
        assert page.parameters["error"] == "invalid_request"

    @pytest.mark.parametrize("client_id", ["old-app", "smart-1-app"])
    async def test_a_client_that_may_go_without_gets_tokens_without_but_not_with_a_verifier(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        none = {"code_challenge": None, "code_challenge_method": None}
        code = await server.request_code(app, PLAIN, **none)
        assert (await app.exchange(code, code_verifier=None)).status_code == 200
        injected = await server.request_code(app, PLAIN, **none)
        assert oauth_error(await app.exchange(injected)) == "invalid_grant"

    @pytest.mark.parametrize("client_id", ["old-app", "smart-1-app"])
    async def test_a_challenge_counts_where_a_client_could_go_without(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        assert (
            oauth_error(await app.exchange(await server.request_code(app, PLAIN), code_verifier=None))
            == "invalid_grant"
        )

    @pytest.mark.parametrize("client_id", ["old-app", "smart-1-app"])
    async def test_the_audit_says_which_authorization_had_none(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        for changes, reason in (({"code_challenge": None, "code_challenge_method": None}, "without_pkce"), ({}, None)):
            await server.request_code(app, PLAIN, **changes)
            granted = server.telemetry.events[-1]
            assert (granted.kind, granted.client_id, granted.reason) == (EventKind.GRANTED, client_id, reason)

    async def test_the_list_of_clients_marks_the_public_ones_that_need_none(self, server: RunningServer) -> None:
        listed = (await admin_request(server, "GET", "/clients")).json()["clients"]
        assert [client["client_id"] for client in listed if client["without_pkce"]] == ["smart-1-app"]
