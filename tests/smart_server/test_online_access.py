"""Refresh tokens of `online_access` end with the session of the user (checklist RF-2)."""

import pytest

from tests.smart_server.ehr_launcher import create_vouched_launch
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer
from tests.smart_server.signed_in_user import sign_in_and_grant
from tests.smart_server.token_use import is_active

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"
ONLINE = "launch/patient online_access patient/Patient.r"


class TestOnline:
    @pytest.mark.requirement("RF-2", "T-16", "edge-62")
    async def test_it_ends_with_the_sign_out_and_offline_access_does_not(self, server: RunningServer) -> None:
        person, app, other = server.person(), server.app(), server.app("other-app")
        online = await server.request_tokens(app, ONLINE, person=person)
        offline = await server.request_tokens(other, SCOPE, person=person)
        assert online["scope"].split().count("online_access") == 1
        online = (await app.refresh(online["refresh_token"])).json()
        manage = await person.open(f"{server.issuer}/manage")
        assert (await person.submit(manage, "/sign-out")).status == 200
        assert oauth_error(await app.refresh(online["refresh_token"])) == "invalid_grant"
        assert not await is_active(app, online)
        assert (await other.refresh(offline["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_the_sign_out_ends_its_tokens_and_unused_codes_at_once(self, server: RunningServer) -> None:
        user = await sign_in_and_grant(server, "nurse")
        manage = await user.person.open(f"{server.issuer}/manage")
        assert (await user.person.submit(manage, "/sign-out")).status == 200
        assert await user.working() == {"offline token", "offline refresh"}

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_offline_access_that_was_just_redeemed_outlasts_the_sign_out(self, server: RunningServer) -> None:
        person, app = server.person(), server.app()
        tokens = await server.request_tokens(app, SCOPE, person=person)
        await person.submit(await person.open(f"{server.issuer}/manage"), "/sign-out")
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200

    @pytest.mark.requirement("edge-62")
    async def test_a_session_ends_for_good_however_much_it_is_used(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        person, app = server.person(), server.app()
        tokens = await server.request_tokens(app, ONLINE, person=person)
        for _ in range(12 * 3600 // 1500):
            later.advance(1500)
            assert "/sign-in" not in (await person.open(f"{server.issuer}/manage")).url
            tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.advance(1400)
        assert "/sign-in" in (await person.open(f"{server.issuer}/manage")).url
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_it_ends_when_nobody_has_used_the_browser_for_long(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        person, app = server.person(), server.app()
        tokens = await server.request_tokens(app, ONLINE, person=person)
        later.advance(1500)
        assert (await person.open(f"{server.issuer}/manage")).status == 200
        later.advance(1500)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        assert await is_active(app, tokens)
        later.advance(400)
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_where_an_ehr_vouched_for_the_user_it_lasts_no_longer_than_a_session_would(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        person, app = server.person(), server.app()
        handle = await create_vouched_launch(server, person, user="doctor", context={"patient": "pat-a"})
        page = await person.open(app.authorization_url("launch online_access patient/Patient.r", launch=handle))
        page = page if page.left_for is not None else await person.agree(page)
        tokens = (await app.exchange(page.parameters["code"])).json()
        later.advance(1700)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.advance(1801)
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_another_session_of_the_user_does_not_keep_it_alive(self, server: RunningServer) -> None:
        here, there, app = server.person(), server.person(), server.app()
        tokens = await server.request_tokens(app, ONLINE, person=here)
        await server.request_tokens(app, ONLINE, person=there)
        await here.submit(await here.open(f"{server.issuer}/manage"), "/sign-out")
        assert oauth_error(await app.refresh(tokens["refresh_token"])) == "invalid_grant"
