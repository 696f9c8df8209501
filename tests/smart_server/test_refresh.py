"""Refresh tokens (checklist 1.9): rotation, reuse, owner and narrower scopes."""

import asyncio

import pytest

from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import SECRET, USER_CLIENTS, RunningServer
from tests.smart_server.token_use import is_active

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"


class TestAnswer:
    @pytest.mark.requirement("RF-1", "RF-7", "RF-8", "RF-11", "LC-22", "suite-B5", "T-16")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_it_is_a_token_response_with_the_context_and_a_new_refresh_token(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        first = await server.request_tokens(app, SCOPE)
        response = await app.refresh(first["refresh_token"])
        assert response.status_code == 200, response.text
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        second = response.json()
        assert set(second) == set(first)
        for name in ("token_type", "expires_in", "scope", "patient"):
            assert second[name] == first[name]
        for name in ("access_token", "refresh_token"):
            assert second[name] != first[name]
        assert await is_active(app, second)
        assert await is_active(app, first)

    async def test_a_long_line_of_them_goes_on(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        seen = {tokens["refresh_token"]}
        for _ in range(10):
            tokens = (await app.refresh(tokens["refresh_token"])).json()
            assert tokens["refresh_token"] not in seen
            seen.add(tokens["refresh_token"])
        assert await is_active(app, tokens)

    @pytest.mark.requirement("RF-4")
    async def test_a_public_client_need_not_name_itself_as_fhirclient_does_not(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        response = await server.http.post(f"{server.issuer}/token", data=form)
        assert response.status_code == 200
        assert await is_active(app, response.json())


class TestReuse:
    @pytest.mark.requirement("RF-8", "BP-2", "edge-60")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_an_old_one_ends_the_family_and_its_access_tokens_at_once(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = server.app(client_id)
        first = await server.request_tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        third = (await app.refresh(second["refresh_token"])).json()
        for tokens in (first, second, third):
            assert await is_active(app, tokens)
        assert oauth_error(await app.refresh(first["refresh_token"])) == "invalid_grant"
        for tokens in (first, second, third):
            assert not await is_active(app, tokens)
            assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("edge-60")
    async def test_the_last_but_one_gets_the_same_successor_while_its_answer_may_be_lost(
        self, server: RunningServer
    ) -> None:
        app = server.app()
        first = await server.request_tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        repeated = (await app.refresh(first["refresh_token"])).json()
        assert repeated["refresh_token"] == second["refresh_token"]
        assert repeated["access_token"] != second["access_token"]
        assert (await app.refresh(second["refresh_token"])).status_code == 200

    @pytest.mark.requirement("edge-60")
    async def test_of_many_at_once_all_get_the_same_successor(self, server: RunningServer) -> None:
        app = server.app()
        first = await server.request_tokens(app, SCOPE)
        answers = await asyncio.gather(*(app.refresh(first["refresh_token"]) for _ in range(8)))
        assert {response.status_code for response in answers} == {200}
        assert len({response.json()["refresh_token"] for response in answers}) == 1

    @pytest.mark.requirement("RF-8", "edge-60")
    async def test_after_some_seconds_the_last_but_one_ends_the_family(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        app = server.app()
        first = await server.request_tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        later.advance(11)
        assert oauth_error(await app.refresh(first["refresh_token"])) == "invalid_grant"
        assert not await is_active(app, second)
        assert oauth_error(await app.refresh(second["refresh_token"])) == "invalid_grant"

    @pytest.mark.parametrize(
        "forge",
        [
            lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
            lambda token: token.replace(".1.", ".2.", 1),
            lambda token: token.replace(".1.", ".0.", 1),
            lambda token: token.partition(".")[0] + ".1." + "A" * 43 + "." + "0" * 64,
            lambda token: token + "0",
            lambda token: "sgr_" + "A" * 22 + token[26:],
        ],
        ids=["another MAC", "a number ahead", "a number before", "a known id alone", "a longer one", "another id"],
    )
    @pytest.mark.requirement("RF-11")
    async def test_a_forged_one_is_refused_and_ends_nothing(self, server: RunningServer, forge: object) -> None:
        assert callable(forge)
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        forged = forge(tokens["refresh_token"])
        assert forged != tokens["refresh_token"]
        assert oauth_error(await app.refresh(forged)) == "invalid_grant"
        assert await is_active(app, tokens)
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-11", "suite-R1")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    @pytest.mark.parametrize("token", ["9b2d1f4e-0e9a-4c52-8f2a-7a8a8a4c1d0b", "sgr_", "x" * 5000, "é"])
    async def test_a_made_up_one_is_refused(self, server: RunningServer, client_id: str, token: str) -> None:
        assert oauth_error(await server.app(client_id).refresh(token)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_refreshes(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        code = await server.request_code(app, SCOPE)
        for token in (tokens["access_token"], tokens["id_token"], code):
            assert oauth_error(await app.refresh(token)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_is_an_access_token(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        code = await server.request_code(app, SCOPE)
        for token in (tokens["refresh_token"], tokens["id_token"], code):
            response = await app.read("/Patient/pat-a", token)
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["www-authenticate"]

    @pytest.mark.requirement("T-16")
    async def test_an_access_token_lasts_as_long_as_was_said_whatever_session_it_hangs_on(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        app = server.app()
        first = await server.request_tokens(app, "launch/patient online_access patient/*.rs")
        renewed = (await app.refresh(first["refresh_token"])).json()
        later.advance(renewed["expires_in"] - 60)
        assert (await app.read("/Patient/pat-a", renewed["access_token"])).status_code == 200

    @pytest.mark.requirement("RF-11")
    async def test_nobody_needs_it_after_its_time(self, clocked: tuple[RunningServer, AdjustableClock]) -> None:
        server, later = clocked
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        later.advance(60 * 86400)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.advance(60 * 86400)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.advance(91 * 86400)
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"


class TestOwner:
    @pytest.mark.requirement("RF-4", "edge-61")
    @pytest.mark.parametrize("owner", USER_CLIENTS)
    @pytest.mark.parametrize("thief", [*USER_CLIENTS, "other-app", "old-app"])
    async def test_another_client_is_refused_and_ends_nothing(
        self, server: RunningServer, owner: str, thief: str
    ) -> None:
        if owner == thief:
            return
        app = server.app(owner)
        tokens = await server.request_tokens(app, SCOPE)
        assert oauth_error(await server.app(thief).refresh(tokens["refresh_token"])) == "invalid_grant"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-1", "edge-61", "edge-63")
    @pytest.mark.parametrize("named", [True, False], ids=["with its client_id", "without a client_id"])
    @pytest.mark.parametrize("owner", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_confidential_client_must_prove_itself(
        self, server: RunningServer, owner: str, named: bool
    ) -> None:
        app = server.app(owner)
        tokens = await server.request_tokens(app, SCOPE)
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        response = await server.http.post(f"{server.issuer}/token", data=form | ({"client_id": owner} if named else {}))
        assert oauth_error(response) == "invalid_client"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    async def test_a_disabled_client_is_refused_at_both_endpoints_at_once(self, server: RunningServer) -> None:
        await register_client(server, "closing")
        app = server.app("closing")
        tokens = await server.request_tokens(app, SCOPE)
        assert await is_active(app, tokens)
        assert (await admin_request(server, "DELETE", "/clients/closing")).status_code == 200
        assert not await is_active(app, tokens)
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_client"


class TestNarrowing:
    @pytest.mark.requirement("RF-5", "RF-6", "RF-10", "edge-57", "edge-59")
    async def test_one_token_is_narrowed_and_the_next_is_whole_again(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        narrow = (await app.refresh(tokens["refresh_token"], scope="patient/Patient.r")).json()
        assert narrow["scope"] == "patient/Patient.r"
        assert "id_token" not in narrow
        assert (await app.read("/Patient/pat-a", narrow["access_token"])).status_code == 200
        assert (await app.read("/Observation", narrow["access_token"])).status_code == 403
        assert (await app.read("/Observation", tokens["access_token"])).status_code == 200
        full = (await app.refresh(narrow["refresh_token"])).json()
        assert set(full["scope"].split()) == set(SCOPE.split())
        assert (await app.read("/Observation", full["access_token"])).status_code == 200

    @pytest.mark.requirement("RF-6", "edge-57", "edge-58")
    @pytest.mark.parametrize(
        ("granted", "asked"),
        [
            ("patient/*.rs", "patient/Observation.r"),
            ("patient/*.rs", "patient/*.rs"),
            ("patient/*.rs", "patient/Observation.rs?category=laboratory patient/Patient.s"),
            ("patient/Observation.read", "patient/Observation.rs"),
            ("patient/Observation.read patient/Patient.read", "patient/Patient.read"),
            ("patient/Observation.rs patient/Patient.r", "patient/Patient.r patient/Observation.rs"),
        ],
    )
    async def test_what_lies_within_the_grant_is_given(self, server: RunningServer, granted: str, asked: str) -> None:
        app = server.app("house-app")
        tokens = await server.request_tokens(app, f"launch/patient offline_access {granted}")
        response = await app.refresh(tokens["refresh_token"], scope=asked)
        assert response.status_code == 200, response.text
        assert set(response.json()["scope"].split()) == set(asked.split())

    @pytest.mark.requirement("RF-6", "edge-57")
    @pytest.mark.parametrize(
        "asked",
        [
            "patient/*.cruds",
            "patient/Observation.rs patient/Condition.rs",
            "patient/Observation.cruds",
            "user/Observation.rs",
            "system/Observation.rs",
            "openid",
            "launch",
            "patient/Observation.sr",
            "nonsense",
            "patient/Observation.rs nonsense",
        ],
    )
    async def test_what_goes_beyond_is_refused_and_nothing_is_used_up(self, server: RunningServer, asked: str) -> None:
        app = server.app("house-app")
        tokens = await server.request_tokens(
            app, "launch/patient offline_access patient/Observation.rs patient/Patient.r"
        )
        assert oauth_error(await app.refresh(tokens["refresh_token"], scope=asked)) == "invalid_scope"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200


async def test_the_right_secret_of_a_client_is_what_refreshes(server: RunningServer) -> None:
    app = server.app("https://symmetric.example")
    tokens = await server.request_tokens(app, SCOPE)
    wrong = server.app("https://symmetric.example", secret=SECRET + "x")
    assert oauth_error(await wrong.refresh(tokens["refresh_token"]), 401) == "invalid_client"
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200
