"""Revocation (checklist 1.16, edge case 144): by the app at `/revoke`, and by the user at `/manage`."""

import httpx2
import pytest

from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import USER_CLIENTS, RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"


async def active_tokens(app: App, tokens: dict[str, str]) -> tuple[bool, bool]:
    """Whether access token and refresh token are active. The refresh comes last, since it rotates."""
    read = await app.read("/Patient/pat-a", tokens["access_token"])
    assert read.status_code in {200, 401}
    refreshed = await app.refresh(tokens["refresh_token"])
    if refreshed.status_code != 200:
        assert oauth_error(refreshed) == "invalid_grant"
    return read.status_code == 200, refreshed.status_code == 200


def check_revoked(response: httpx2.Response) -> None:
    """Check the response of a successful revocation."""
    assert response.status_code == 200, response.text
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")


class TestByTheApp:
    @pytest.mark.requirement("RV-1", "RV-2", "edge-144", "suite-V1")
    @pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "unknown_hint"])
    @pytest.mark.parametrize("name", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_either_token_ends_both_at_once(
        self, server: RunningServer, client_id: str, name: str, hint: str | None
    ) -> None:
        app = server.app(client_id)
        tokens = await server.request_tokens(app, SCOPE)
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
        check_revoked(await app.post("/revoke", {"token": tokens[name], "token_type_hint": hint}))
        assert await active_tokens(app, tokens) == (False, False)
        check_revoked(await app.post("/revoke", {"token": tokens[name], "token_type_hint": hint}))

    @pytest.mark.requirement("RV-2")
    async def test_a_refresh_token_takes_every_access_token_of_its_line_along(self, server: RunningServer) -> None:
        app = server.app()
        first = await server.request_tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        other = await server.request_tokens(app, SCOPE)
        check_revoked(await app.post("/revoke", {"token": second["refresh_token"]}))
        for tokens in (first, second):
            assert await active_tokens(app, tokens) == (False, False)
        assert await active_tokens(app, other) == (True, True)

    @pytest.mark.requirement("RV-2", "edge-144")
    @pytest.mark.parametrize("client_id", [*USER_CLIENTS, "backend"])
    @pytest.mark.parametrize("token", ["unknown", "sga_" + "A" * 43, "sgr_x", "a.b.c", "é"])
    async def test_an_unknown_token_is_no_error(self, server: RunningServer, client_id: str, token: str) -> None:
        check_revoked(await server.app(client_id).post("/revoke", {"token": token}))

    @pytest.mark.requirement("RV-2")
    @pytest.mark.parametrize("owner", ["public-app", "asymmetric-app"])
    @pytest.mark.parametrize("thief", ["other-app", "https://symmetric.example", "backend"])
    async def test_another_client_is_refused_and_ends_nothing(
        self, server: RunningServer, owner: str, thief: str
    ) -> None:
        app = server.app(owner)
        tokens = await server.request_tokens(app, SCOPE)
        for name in ("access_token", "refresh_token"):
            assert oauth_error(await server.app(thief).post("/revoke", {"token": tokens[name]})) == "invalid_grant"
        assert await active_tokens(app, tokens) == (True, True)

    @pytest.mark.requirement("RV-2")
    @pytest.mark.parametrize("named", [True, False], ids=["with its client_id", "without a client_id"])
    @pytest.mark.parametrize("owner", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_confidential_client_must_prove_itself(
        self, server: RunningServer, owner: str, named: bool
    ) -> None:
        app = server.app(owner)
        tokens = await server.request_tokens(app, SCOPE)
        form = {"token": tokens["refresh_token"]} | ({"client_id": owner} if named else {})
        assert oauth_error(await server.http.post(f"{server.issuer}/revoke", data=form)) == "invalid_client"
        wrong = httpx2.BasicAuth("old-app", "wrong")
        refused = await server.http.post(f"{server.issuer}/revoke", data=form, auth=wrong)
        assert oauth_error(refused, 401) == "invalid_client"
        assert await active_tokens(app, tokens) == (True, True)

    async def test_a_public_client_need_not_name_itself(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        check_revoked(await server.http.post(f"{server.issuer}/revoke", data={"token": tokens["access_token"]}))
        assert await active_tokens(app, tokens) == (False, False)

    async def test_a_backend_service_ends_its_own_token(self, server: RunningServer) -> None:
        app = server.app("backend")
        answer = await app.post("/token", {"grant_type": "client_credentials", "scope": "system/Patient.r"})
        token = answer.json()["access_token"]
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        check_revoked(await app.post("/revoke", {"token": token}))
        assert (await app.read("/Patient/pat-a", token)).status_code == 401

    async def test_a_request_without_a_token_or_with_two_or_by_get_is_refused(self, server: RunningServer) -> None:
        url = f"{server.issuer}/revoke"
        assert oauth_error(await server.app().post("/revoke", {})) == "invalid_request"
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert oauth_error(await server.http.post(url, content="token=a&token=b", headers=form)) == "invalid_request"
        assert (await server.http.get(f"{url}?token=a")).status_code == 405


def grant_ids(page: Page) -> set[str]:
    """The ids of the grants on the page."""
    return {value for form in page.forms if (value := form.value("grant")) is not None}


async def open_manage_page(server: RunningServer, person: Person, user: str = "doctor") -> Page:
    """Sign in and open `/manage`."""
    return await person.sign_in(await person.open(f"{server.issuer}/manage"), user)


class TestByTheUser:
    @pytest.mark.requirement("RV-1", "RV-3", "suite-V1")
    @pytest.mark.parametrize("client_id", USER_CLIENTS)
    async def test_an_ended_grant_opens_nothing_any_more_and_the_others_stand(
        self, server: RunningServer, client_id: str
    ) -> None:
        person, app, other = server.person(), server.app(client_id), server.app("other-app")
        other_tokens = await server.request_tokens(other, SCOPE, person=person)
        before = grant_ids(await person.open(f"{server.issuer}/manage"))
        tokens = await server.request_tokens(app, SCOPE, person=person)
        page = await person.open(f"{server.issuer}/manage")
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
        (grant,) = grant_ids(page) - before
        form = next(form for form in page.forms if form.value("grant") == grant)
        ended = await person.open(f"{server.issuer}/manage", data=form.fields)
        assert ended.status == 200
        assert grant not in grant_ids(ended)
        assert await active_tokens(app, tokens) == (False, False)
        assert await active_tokens(other, other_tokens) == (True, True)

    @pytest.mark.requirement("RV-3")
    async def test_the_app_is_asked_about_anew_afterwards(self, server: RunningServer) -> None:
        person, app = server.person(), server.app("other-app")
        before = grant_ids(await open_manage_page(server, person))
        # Consent to offline access is never remembered.
        scope = "launch/patient patient/Patient.r"
        _, page = await server.open_consent_page(app, scope, person=person)
        agreed = await person.agree(page, remember="yes")
        assert (await app.exchange(agreed.parameters["code"])).status_code == 200
        _, remembered = await server.open_consent_page(app, scope, person=person)
        assert "code" in remembered.parameters
        page = await person.open(f"{server.issuer}/manage")
        (grant,) = grant_ids(page) - before
        form = next(form for form in page.forms if form.value("grant") == grant)
        await person.open(f"{server.issuer}/manage", data=form.fields)
        _, page = await server.open_consent_page(app, scope, person=person)
        assert page.left_for is None
        assert page.form("/consent").method == "post"

    async def test_nobody_ends_the_grant_of_somebody_else(self, server: RunningServer) -> None:
        doctor, nurse, app = server.person(), server.person(), server.app()
        before = grant_ids(await open_manage_page(server, doctor))
        tokens = await server.request_tokens(app, SCOPE, person=doctor)
        (grant,) = grant_ids(await doctor.open(f"{server.issuer}/manage")) - before
        page = await open_manage_page(server, nurse, "nurse")
        assert grant not in grant_ids(page)
        csrf = next(value for form in page.forms if (value := form.value("csrf")) is not None)
        await nurse.open(f"{server.issuer}/manage", data=[("csrf", csrf), ("grant", grant)])
        foreign = await doctor.open(f"{server.issuer}/manage", data=[("csrf", csrf), ("grant", grant)])
        assert foreign.status == 400
        assert await active_tokens(app, tokens) == (True, True)

    async def test_who_is_not_signed_in_sees_and_ends_nothing(self, server: RunningServer) -> None:
        stranger = server.person()
        page = await stranger.open(f"{server.issuer}/manage")
        assert page.form("/sign-in").method == "post"
        page = await stranger.open(f"{server.issuer}/manage", data=[("csrf", "x"), ("grant", "y")])
        assert page.form("/sign-in").method == "post"
