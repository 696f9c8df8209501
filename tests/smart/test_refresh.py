"""Refresh tokens over HTTP (checklist 1.9): they rotate, they narrow, and who uses an old one ends everything."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import SECRET, House, smart_house
from tests.smart.later import Later
from tests.smart.launcher import vouched_launch
from tests.smart.test_code_exchange import KINDS, error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"
ONLINE = "launch/patient online_access patient/Patient.r"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[House, Later]]:
    """A house whose time passes when a test says so."""
    async with smart_house(fhir_server) as house:
        yield house, Later(house)


async def lives(app: App, tokens: dict[str, str]) -> bool:
    """Whether the access token still opens what it opened."""
    status = (await app.read("/Patient/pat-a", tokens["access_token"])).status_code
    assert status in {200, 401}
    return status == 200


class TestAnswer:
    @pytest.mark.requirement("RF-1", "RF-7", "RF-8", "RF-11", "LC-22", "suite-B5", "T-16")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_it_is_a_token_response_with_the_context_and_a_new_refresh_token(
        self, house: House, client_id: str
    ) -> None:
        app = house.app(client_id)
        first = await house.tokens(app, SCOPE)
        response = await app.refresh(first["refresh_token"])
        assert response.status_code == 200, response.text
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        second = response.json()
        assert set(second) == set(first)
        for name in ("token_type", "expires_in", "scope", "patient"):
            assert second[name] == first[name]
        for name in ("access_token", "refresh_token"):
            assert second[name] != first[name]
        assert await lives(app, second)
        assert await lives(app, first)

    async def test_a_long_line_of_them_goes_on(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        seen = {tokens["refresh_token"]}
        for _ in range(10):
            tokens = (await app.refresh(tokens["refresh_token"])).json()
            assert tokens["refresh_token"] not in seen
            seen.add(tokens["refresh_token"])
        assert await lives(app, tokens)

    @pytest.mark.requirement("RF-4")
    async def test_a_public_client_need_not_name_itself_as_fhirclient_does_not(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        response = await house.http.post(f"{house.issuer}/token", data=form)
        assert response.status_code == 200
        assert await lives(app, response.json())


class TestReuse:
    @pytest.mark.requirement("RF-8", "BP-2", "edge-60")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_an_old_one_ends_the_family_and_its_access_tokens_at_once(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        first = await house.tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        third = (await app.refresh(second["refresh_token"])).json()
        for one in (first, second, third):
            assert await lives(app, one)
        assert error_of(await app.refresh(first["refresh_token"])) == "invalid_grant"
        for one in (first, second, third):
            assert not await lives(app, one)
            assert error_of(await app.refresh(one["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("edge-60")
    async def test_the_last_but_one_gets_the_same_successor_while_its_answer_may_be_lost(self, house: House) -> None:
        app = house.app()
        first = await house.tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        again = (await app.refresh(first["refresh_token"])).json()
        assert again["refresh_token"] == second["refresh_token"]
        assert again["access_token"] != second["access_token"]
        assert (await app.refresh(second["refresh_token"])).status_code == 200

    @pytest.mark.requirement("edge-60")
    async def test_of_many_at_once_all_get_the_same_successor(self, house: House) -> None:
        app = house.app()
        first = await house.tokens(app, SCOPE)
        answers = await asyncio.gather(*(app.refresh(first["refresh_token"]) for _ in range(8)))
        assert {one.status_code for one in answers} == {200}
        assert len({one.json()["refresh_token"] for one in answers}) == 1

    @pytest.mark.requirement("RF-8", "edge-60")
    async def test_after_some_seconds_the_last_but_one_ends_the_family(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        app = house.app()
        first = await house.tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        later.wait(11)
        assert error_of(await app.refresh(first["refresh_token"])) == "invalid_grant"
        assert not await lives(app, second)
        assert error_of(await app.refresh(second["refresh_token"])) == "invalid_grant"

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
    async def test_a_forged_one_is_refused_and_ends_nothing(self, house: House, forge: object) -> None:
        assert callable(forge)
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        forged = forge(tokens["refresh_token"])
        assert forged != tokens["refresh_token"]
        assert error_of(await app.refresh(forged)) == "invalid_grant"
        assert await lives(app, tokens)
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-11", "suite-R1")
    @pytest.mark.parametrize("client_id", KINDS)
    @pytest.mark.parametrize("token", ["9b2d1f4e-0e9a-4c52-8f2a-7a8a8a4c1d0b", "sgr_", "x" * 5000, "é"])
    async def test_a_made_up_one_is_refused(self, house: House, client_id: str, token: str) -> None:
        assert error_of(await house.app(client_id).refresh(token)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_refreshes(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        code = await house.code(app, SCOPE)
        for one in (tokens["access_token"], tokens["id_token"], code):
            assert error_of(await app.refresh(one)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_is_an_access_token(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        code = await house.code(app, SCOPE)
        for one in (tokens["refresh_token"], tokens["id_token"], code):
            response = await app.read("/Patient/pat-a", one)
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["www-authenticate"]

    @pytest.mark.requirement("T-16")
    async def test_an_access_token_lasts_as_long_as_was_said_whatever_session_it_hangs_on(
        self, clocked: tuple[House, Later]
    ) -> None:
        house, later = clocked
        app = house.app()
        first = await house.tokens(app, "launch/patient online_access patient/*.rs")
        renewed = (await app.refresh(first["refresh_token"])).json()
        later.wait(renewed["expires_in"] - 60)
        assert (await app.read("/Patient/pat-a", renewed["access_token"])).status_code == 200

    @pytest.mark.requirement("RF-11")
    async def test_nobody_needs_it_after_its_time(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        later.wait(60 * 86400)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.wait(60 * 86400)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.wait(91 * 86400)
        assert error_of(await app.refresh(tokens["refresh_token"])) == "invalid_grant"


class TestOwner:
    @pytest.mark.requirement("RF-4", "edge-61")
    @pytest.mark.parametrize("owner", KINDS)
    @pytest.mark.parametrize("thief", [*KINDS, "other-app", "old-app"])
    async def test_another_client_is_refused_and_ends_nothing(self, house: House, owner: str, thief: str) -> None:
        if owner == thief:
            return
        app = house.app(owner)
        tokens = await house.tokens(app, SCOPE)
        assert error_of(await house.app(thief).refresh(tokens["refresh_token"])) == "invalid_grant"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-1", "edge-61", "edge-63")
    @pytest.mark.parametrize("named", [True, False], ids=["with its client_id", "without a client_id"])
    @pytest.mark.parametrize("owner", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_confidential_client_must_prove_itself(self, house: House, owner: str, named: bool) -> None:
        app = house.app(owner)
        tokens = await house.tokens(app, SCOPE)
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        response = await house.http.post(f"{house.issuer}/token", data=form | ({"client_id": owner} if named else {}))
        assert error_of(response) == "invalid_client"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200

    async def test_a_disabled_client_is_refused_at_both_endpoints_at_once(self, house: House) -> None:
        await register(house, "closing")
        app = house.app("closing")
        tokens = await house.tokens(app, SCOPE)
        assert await lives(app, tokens)
        assert (await administer(house, "DELETE", "/clients/closing")).status_code == 200
        assert not await lives(app, tokens)
        assert error_of(await app.refresh(tokens["refresh_token"])) == "invalid_client"


class TestNarrowing:
    @pytest.mark.requirement("RF-5", "RF-6", "RF-10", "edge-57", "edge-59")
    async def test_one_token_is_narrowed_and_the_next_is_whole_again(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        narrow = (await app.refresh(tokens["refresh_token"], scope="patient/Patient.r")).json()
        assert narrow["scope"] == "patient/Patient.r"
        assert "id_token" not in narrow
        assert (await app.read("/Patient/pat-a", narrow["access_token"])).status_code == 200
        assert (await app.read("/Observation", narrow["access_token"])).status_code == 403
        assert (await app.read("/Observation", tokens["access_token"])).status_code == 200
        whole = (await app.refresh(narrow["refresh_token"])).json()
        assert set(whole["scope"].split()) == set(SCOPE.split())
        assert (await app.read("/Observation", whole["access_token"])).status_code == 200

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
    async def test_what_lies_within_the_grant_is_given(self, house: House, granted: str, asked: str) -> None:
        app = house.app("house-app")
        tokens = await house.tokens(app, f"launch/patient offline_access {granted}")
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
    async def test_what_goes_beyond_is_refused_and_nothing_is_used_up(self, house: House, asked: str) -> None:
        app = house.app("house-app")
        tokens = await house.tokens(app, "launch/patient offline_access patient/Observation.rs patient/Patient.r")
        assert error_of(await app.refresh(tokens["refresh_token"], scope=asked)) == "invalid_scope"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200


class TestOnline:
    @pytest.mark.requirement("RF-2", "T-16", "edge-62")
    async def test_it_ends_with_the_sign_out_and_offline_access_does_not(self, house: House) -> None:
        person, app, other = house.person(), house.app(), house.app("other-app")
        online = await house.tokens(app, ONLINE, person=person)
        offline = await house.tokens(other, SCOPE, person=person)
        assert online["scope"].split().count("online_access") == 1
        online = (await app.refresh(online["refresh_token"])).json()
        manage = await person.go(f"{house.issuer}/manage")
        assert (await person.send(manage, "/sign-out")).status == 200
        assert error_of(await app.refresh(online["refresh_token"])) == "invalid_grant"
        assert not await lives(app, online)
        assert (await other.refresh(offline["refresh_token"])).status_code == 200

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_it_ends_when_nobody_has_used_the_browser_for_long(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        person, app = house.person(), house.app()
        tokens = await house.tokens(app, ONLINE, person=person)
        later.wait(1500)
        assert (await person.go(f"{house.issuer}/manage")).status == 200
        later.wait(1500)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        assert await lives(app, tokens)
        later.wait(400)
        assert error_of(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_where_an_ehr_vouched_for_the_user_it_lasts_no_longer_than_a_session_would(
        self, clocked: tuple[House, Later]
    ) -> None:
        house, later = clocked
        person, app = house.person(), house.app()
        handle = await vouched_launch(house, person, user="doctor", context={"patient": "pat-a"})
        page = await person.go(app.authorization_url("launch online_access patient/Patient.r", launch=handle))
        page = page if page.left_for is not None else await person.agree(page)
        tokens = (await app.exchange(page.parameters["code"])).json()
        later.wait(1700)
        tokens = (await app.refresh(tokens["refresh_token"])).json()
        later.wait(1801)
        assert error_of(await app.refresh(tokens["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("RF-2", "edge-62")
    async def test_another_session_of_the_user_does_not_keep_it_alive(self, house: House) -> None:
        here, there, app = house.person(), house.person(), house.app()
        tokens = await house.tokens(app, ONLINE, person=here)
        await house.tokens(app, ONLINE, person=there)
        await here.send(await here.go(f"{house.issuer}/manage"), "/sign-out")
        assert error_of(await app.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_the_right_secret_of_a_client_is_what_refreshes(house: House) -> None:
    app = house.app("https://symmetric.example")
    tokens = await house.tokens(app, SCOPE)
    wrong = house.app("https://symmetric.example", secret=SECRET + "x")
    assert error_of(await wrong.refresh(tokens["refresh_token"]), 401) == "invalid_client"
    assert (await app.refresh(tokens["refresh_token"])).status_code == 200
