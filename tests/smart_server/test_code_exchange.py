"""`/token` with an authorization code (checklist 1.8): what it issues, for which client, and what it refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import CALLBACK, SECRET, USER_CLIENTS, RunningServer, run_smart_server
from tests.smart_server.smart_app import JWT_BEARER, App
from tests.telemetry.log_lines import log_lines

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"
PLAIN = "launch/patient patient/Patient.r"
TOKENS = ("access_token", "refresh_token", "id_token")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server with a clock that tests advance, and a client with short access tokens."""

    def short(settings: dict[str, Any]) -> None:
        settings["smart_server"]["clients"][1]["access_token_seconds"] = 600

    async with run_smart_server(fhir_server, change=short) as server:
        yield server, AdjustableClock(server)


class TestAnswer:
    @pytest.mark.requirement("T-1", "T-6", "T-7", "T-8", "T-9", "T-11", "T-12", "T-13", "edge-52", "edge-53", "edge-54")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_it_has_every_member_in_its_form_and_nobody_stores_it(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        response = await app.exchange(await server.request_code(app, SCOPE))
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        body = response.json()
        assert set(body) == {
            "access_token", "token_type", "expires_in", "scope", "patient", "smart_style_url", "refresh_token",
            "id_token",
        }  # fmt: skip
        assert body["token_type"] == "Bearer"
        assert type(body["expires_in"]) is int
        assert 120 <= body["expires_in"] <= 3600
        assert set(body["scope"].split()) == set(SCOPE.split())
        assert body["patient"] == "pat-a"

    @pytest.mark.requirement("edge-55", "T-9")
    async def test_without_offline_access_there_is_no_refresh_token_nor_without_openid_an_id_token(
        self, server: RunningServer
    ) -> None:
        body = await server.request_tokens(server.app(), PLAIN)
        assert set(body) == {"access_token", "token_type", "expires_in", "scope", "patient", "smart_style_url"}

    async def test_a_client_may_have_a_life_of_its_own_for_its_tokens(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, _ = clocked
        assert (await server.request_tokens(server.app("other-app"), PLAIN))["expires_in"] == 600

    @pytest.mark.requirement("T-8", "RS-1", "BS-13")
    async def test_a_token_is_refused_after_its_last_second(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        app = server.app()
        token = (await server.request_tokens(app, PLAIN))["access_token"]
        later.advance(3590)
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        later.advance(20)
        over = await app.read("/Patient/pat-a", token)
        assert over.status_code == 401
        assert 'error="invalid_token"' in over.headers["www-authenticate"]

    @pytest.mark.parametrize(
        ("scope", "told"),
        [
            (
                "launch/patient openid fhirUser",
                {"sub": "doctor", "name": "Dr Dora Demo", "fhirUser": "{base}/Practitioner/practitioner-1"},
            ),
            ("launch/patient openid patient/Patient.r", {"sub": "doctor", "name": "Dr Dora Demo"}),
            ("launch/patient patient/Patient.r", None),
        ],
        ids=[
            "with openid and fhirUser: who it is, and the address of the resource",
            "with openid alone: who it is",
            "without openid: nothing",
        ],
    )
    async def test_who_signed_in_is_told_beside_the_tokens_where_a_client_is_registered_so(
        self, server: RunningServer, scope: str, told: dict[str, str] | None
    ) -> None:
        await replace_client(server, "aidbox-app", userinfo_in_token_response=True)
        body = await server.request_tokens(server.app("aidbox-app"), scope)
        assert body.get("userinfo") == (
            None if told is None else {name: value.format(base=server.base) for name, value in told.items()}
        )

    async def test_who_signed_in_is_not_told_to_other_clients(self, server: RunningServer) -> None:
        assert "userinfo" not in await server.request_tokens(server.app(), SCOPE)


class TestSecondUse:
    @pytest.mark.requirement("T-14", "edge-46")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_it_is_refused_and_ends_what_the_first_one_brought(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        code = await server.request_code(app, SCOPE)
        first = (await app.exchange(code)).json()
        assert (await app.read("/Patient/pat-a", first["access_token"])).status_code == 200
        assert oauth_error(await app.exchange(code)) == "invalid_grant"
        assert (await app.read("/Patient/pat-a", first["access_token"])).status_code == 401
        assert oauth_error(await app.refresh(first["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("T-14", "edge-46")
    async def test_of_many_at_once_one_at_most_gets_tokens_and_loses_them(self, server: RunningServer) -> None:
        app = server.app()
        code = await server.request_code(app, SCOPE)
        answers = await asyncio.gather(*(app.exchange(code) for _ in range(8)))
        successes = [response for response in answers if response.status_code == 200]
        assert len(successes) <= 1
        assert {oauth_error(response) for response in answers if response not in successes} == {"invalid_grant"}
        for response in successes:
            assert (await app.read("/Patient/pat-a", response.json()["access_token"])).status_code == 401
            assert oauth_error(await app.refresh(response.json()["refresh_token"])) == "invalid_grant"

    async def test_a_code_is_over_after_its_minute(self, clocked: tuple[RunningServer, AdjustableClock]) -> None:
        server, later = clocked
        app = server.app()
        code = await server.request_code(app, PLAIN)
        later.advance(61)
        assert oauth_error(await app.exchange(code)) == "invalid_grant"


class TestBinding:
    @pytest.mark.requirement("T-2", "edge-48")
    @pytest.mark.parametrize(
        ("redirect_uri", "error"),
        [
            (None, "invalid_request"),
            ("", "invalid_request"),
            (f"{CALLBACK}?tenant=7", "invalid_grant"),
            (f"{CALLBACK}/", "invalid_grant"),
            (CALLBACK.upper(), "invalid_grant"),
            ("https://evil.example/callback", "invalid_grant"),
        ],
        ids=["none", "empty", "another one of the client", "with a slash", "in capitals", "somebody else's"],
    )
    async def test_another_redirect_uri_is_refused(
        self, server: RunningServer, redirect_uri: str | None, error: str
    ) -> None:
        app = server.app("house-app")
        code = await server.request_code(app, PLAIN)
        assert oauth_error(await app.exchange(code, redirect_uri=redirect_uri)) == error

    @pytest.mark.requirement("edge-49", "T-2")
    @pytest.mark.parametrize("thief", ["other-app", "https://symmetric.example", "asymmetric-app"])
    async def test_the_code_of_another_client_is_refused_like_one_that_never_was(
        self, server: RunningServer, thief: str
    ) -> None:
        app = server.app("house-app")
        code = await server.request_code(app, PLAIN)
        other = server.app(thief, verifier=app.verifier)
        stolen, made_up = await other.exchange(code), await other.exchange("sgc_" + "A" * 43)
        assert oauth_error(stolen) == "invalid_grant"
        assert stolen.json() == made_up.json()

    @pytest.mark.requirement("edge-50", "suite-C1")
    @pytest.mark.parametrize("client_id", [*USER_CLIENTS, "old-app"])
    @pytest.mark.parametrize("code", ["BAD_CODE", "sgc_" + "A" * 43, "x" * 5000, "code\r\nwith: lines", "☃"])
    async def test_a_made_up_code_is_refused_with_400(self, server: RunningServer, client_id: str, code: str) -> None:
        assert oauth_error(await server.app(client_id).exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_is_a_code(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        for name in ("access_token", "refresh_token", "id_token"):
            assert oauth_error(await app.exchange(tokens[name])) == "invalid_grant"

    @pytest.mark.requirement("T-3", "CA-8", "edge-74")
    @pytest.mark.parametrize("client_id", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_client_id_beside_the_proof_must_be_the_same(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        code = await server.request_code(app, PLAIN)
        assert oauth_error(await app.exchange(code, client_id="public-app")) == "invalid_client"
        assert (await app.exchange(code, client_id=client_id, state="as fhirclient sends it")).status_code == 200

    @pytest.mark.requirement("T-3", "PK-3")
    @pytest.mark.parametrize("client_id", [None, "", "nobody"], ids=["none", "empty", "unknown"])
    async def test_a_public_app_must_name_itself(self, server: RunningServer, client_id: str | None) -> None:
        app = server.app()
        assert oauth_error(await app.exchange("BAD_CODE", client_id=client_id)) == "invalid_client"

    @pytest.mark.requirement("T-4", "edge-63")
    @pytest.mark.parametrize("client_id", ["https://symmetric.example", "asymmetric-app", "old-app", "backend"])
    async def test_a_confidential_app_must_prove_itself(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        pretender = App(server.issuer, server.base, server.http, client_id, verifier=app.verifier)
        code = await server.request_code(app, PLAIN) if client_id != "backend" else "BAD_CODE"
        assert oauth_error(await pretender.exchange(code)) == "invalid_client"


class TestRights:
    @pytest.mark.requirement("edge-56", "G-2")
    async def test_what_a_client_may_not_have_any_more_is_not_issued(self, server: RunningServer) -> None:
        await register_client(server, "shrinking", scopes="launch/patient patient/*.rs offline_access")
        app = server.app("shrinking")
        code = await server.request_code(app, "launch/patient patient/Patient.rs patient/Observation.rs offline_access")
        await replace_client(server, "shrinking", scopes="launch/patient patient/Patient.r offline_access")
        body = (await app.exchange(code)).json()
        assert set(body["scope"].split()) == {"launch/patient", "patient/Patient.r", "offline_access"}
        assert (await app.read("/Patient/pat-a", body["access_token"])).status_code == 200
        assert (await app.read("/Observation", body["access_token"])).status_code == 403

    @pytest.mark.requirement("edge-56", "RF-5")
    async def test_nor_is_it_at_the_next_refresh(self, server: RunningServer) -> None:
        await register_client(server, "refreshing", scopes="launch/patient patient/*.rs offline_access")
        app = server.app("refreshing")
        tokens = await server.request_tokens(
            app, "launch/patient patient/Patient.rs patient/Observation.rs offline_access"
        )
        await replace_client(server, "refreshing", scopes="launch/patient patient/Patient.r offline_access")
        body = (await app.refresh(tokens["refresh_token"])).json()
        assert set(body["scope"].split()) == {"launch/patient", "patient/Patient.r", "offline_access"}

    @pytest.mark.requirement("edge-56")
    async def test_where_nothing_is_left_the_code_is_void(self, server: RunningServer) -> None:
        await register_client(server, "emptied", scopes="patient/Patient.rs")
        app = server.app("emptied")
        code = await server.request_code(app, "patient/Patient.rs")
        await replace_client(server, "emptied", scopes="patient/Observation.rs")
        assert oauth_error(await app.exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("edge-56")
    async def test_a_client_that_was_disabled_meanwhile_gets_nothing(self, server: RunningServer) -> None:
        await register_client(server, "leaving")
        app = server.app("leaving")
        code = await server.request_code(app, PLAIN)
        assert (await admin_request(server, "DELETE", "/clients/leaving")).status_code == 200
        assert oauth_error(await app.exchange(code)) == "invalid_client"


async def test_no_secret_is_written_to_the_log(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app, asymmetric = server.app("https://symmetric.example"), server.app("asymmetric-app")
    code, assertion = await server.request_code(app, SCOPE), asymmetric.assertion()
    tokens = (await app.exchange(code)).json()
    newer = (await app.refresh(tokens["refresh_token"])).json()
    await app.exchange(code)
    await app.refresh(tokens["refresh_token"])
    await server.app("https://symmetric.example", secret="a-wrong-secret").exchange(code)
    for _ in range(2):
        await asymmetric.exchange("a-made-up-code", client_assertion=assertion, client_assertion_type=JWT_BEARER)
    await app.post("/introspect", {"token": newer["access_token"]})
    await app.post("/revoke", {"token": newer["refresh_token"]})
    await app.exchange("x", client_secret="a-secret-in-the-body")
    written = json.dumps(log_lines(caplog))
    assert "token refused" in written
    secrets = [code, assertion, SECRET, "a-wrong-secret", "a-made-up-code", "a-secret-in-the-body", app.verifier]
    for token in [*secrets, *(body[name] for body in (tokens, newer) for name in TOKENS)]:
        assert token not in written
