"""Revocation (checklist 1.16, edge case 144): by the app at `/revoke`, and by the user at the page of grants."""

import httpx2
import pytest

from tests.smart.app import App
from tests.smart.house import House
from tests.smart.person import Page, Person
from tests.smart.test_code_exchange import KINDS, error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"


async def works(app: App, tokens: dict[str, str]) -> tuple[bool, bool]:
    """Whether the FHIR call and the refresh go through; the refresh is tried last, since it rotates."""
    read = await app.read("/Patient/pat-a", tokens["access_token"])
    assert read.status_code in {200, 401}
    refreshed = await app.refresh(tokens["refresh_token"])
    if refreshed.status_code != 200:
        assert error_of(refreshed) == "invalid_grant"
    return read.status_code == 200, refreshed.status_code == 200


def done(response: httpx2.Response) -> None:
    """The answer to every revocation that is not refused."""
    assert response.status_code == 200, response.text
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")


class TestByTheApp:
    @pytest.mark.requirement("RV-1", "RV-2", "edge-144", "suite-V1")
    @pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "unknown_hint"])
    @pytest.mark.parametrize("name", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_either_token_ends_both_at_once(
        self, house: House, client_id: str, name: str, hint: str | None
    ) -> None:
        app = house.app(client_id)
        tokens = await house.tokens(app, SCOPE)
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
        done(await app.post("/revoke", {"token": tokens[name], "token_type_hint": hint}))
        assert await works(app, tokens) == (False, False)
        done(await app.post("/revoke", {"token": tokens[name], "token_type_hint": hint}))

    @pytest.mark.requirement("RV-2")
    async def test_a_refresh_token_takes_every_access_token_of_its_line_along(self, house: House) -> None:
        app = house.app()
        first = await house.tokens(app, SCOPE)
        second = (await app.refresh(first["refresh_token"])).json()
        other = await house.tokens(app, SCOPE)
        done(await app.post("/revoke", {"token": second["refresh_token"]}))
        for tokens in (first, second):
            assert await works(app, tokens) == (False, False)
        assert await works(app, other) == (True, True)

    @pytest.mark.requirement("RV-2", "edge-144")
    @pytest.mark.parametrize("client_id", [*KINDS, "backend"])
    @pytest.mark.parametrize("token", ["unknown", "sga_" + "A" * 43, "sgr_x", "a.b.c", "é"])
    async def test_an_unknown_token_is_no_error(self, house: House, client_id: str, token: str) -> None:
        done(await house.app(client_id).post("/revoke", {"token": token}))

    @pytest.mark.requirement("RV-2")
    @pytest.mark.parametrize("owner", ["public-app", "asymmetric-app"])
    @pytest.mark.parametrize("thief", ["other-app", "https://symmetric.example", "backend"])
    async def test_another_client_is_refused_and_ends_nothing(self, house: House, owner: str, thief: str) -> None:
        app = house.app(owner)
        tokens = await house.tokens(app, SCOPE)
        for name in ("access_token", "refresh_token"):
            assert error_of(await house.app(thief).post("/revoke", {"token": tokens[name]})) == "invalid_grant"
        assert await works(app, tokens) == (True, True)

    @pytest.mark.requirement("RV-2")
    @pytest.mark.parametrize("named", [True, False], ids=["with its client_id", "without a client_id"])
    @pytest.mark.parametrize("owner", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_confidential_client_must_prove_itself(self, house: House, owner: str, named: bool) -> None:
        app = house.app(owner)
        tokens = await house.tokens(app, SCOPE)
        form = {"token": tokens["refresh_token"]} | ({"client_id": owner} if named else {})
        assert error_of(await house.http.post(f"{house.issuer}/revoke", data=form)) == "invalid_client"
        wrong = httpx2.BasicAuth("old-app", "wrong")
        refused = await house.http.post(f"{house.issuer}/revoke", data=form, auth=wrong)
        assert error_of(refused, 401) == "invalid_client"
        assert await works(app, tokens) == (True, True)

    async def test_a_public_client_need_not_name_itself(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        done(await house.http.post(f"{house.issuer}/revoke", data={"token": tokens["access_token"]}))
        assert await works(app, tokens) == (False, False)

    async def test_a_backend_service_ends_its_own_token(self, house: House) -> None:
        app = house.app("backend")
        answer = await app.post("/token", {"grant_type": "client_credentials", "scope": "system/Patient.r"})
        token = answer.json()["access_token"]
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        done(await app.post("/revoke", {"token": token}))
        assert (await app.read("/Patient/pat-a", token)).status_code == 401

    async def test_a_request_without_a_token_or_with_two_or_by_get_is_refused(self, house: House) -> None:
        url = f"{house.issuer}/revoke"
        assert error_of(await house.app().post("/revoke", {})) == "invalid_request"
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert error_of(await house.http.post(url, content="token=a&token=b", headers=form)) == "invalid_request"
        assert (await house.http.get(f"{url}?token=a")).status_code == 405


def ids_of(page: Page) -> set[str]:
    """The grants that a page offers to end."""
    return {value for form in page.forms if (value := form.value("grant")) is not None}


async def at_the_page(house: House, person: Person, user: str = "doctor") -> Page:
    """The page of grants, after signing in."""
    return await person.sign_in(await person.go(f"{house.issuer}/manage"), user)


class TestByTheUser:
    @pytest.mark.requirement("RV-1", "RV-3", "suite-V1")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_an_ended_grant_opens_nothing_any_more_and_the_others_stand(
        self, house: House, client_id: str
    ) -> None:
        person, app, other = house.person(), house.app(client_id), house.app("other-app")
        kept = await house.tokens(other, SCOPE, person=person)
        before = ids_of(await person.go(f"{house.issuer}/manage"))
        tokens = await house.tokens(app, SCOPE, person=person)
        page = await person.go(f"{house.issuer}/manage")
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
        (grant,) = ids_of(page) - before
        form = next(one for one in page.forms if one.value("grant") == grant)
        ended = await person.go(f"{house.issuer}/manage", data=form.fields)
        assert ended.status == 200
        assert grant not in ids_of(ended)
        assert await works(app, tokens) == (False, False)
        assert await works(other, kept) == (True, True)

    @pytest.mark.requirement("RV-3")
    async def test_the_app_is_asked_about_anew_afterwards(self, house: House) -> None:
        person, app = house.person(), house.app("other-app")
        before = ids_of(await at_the_page(house, person))
        # Offline access is asked for every time.
        scope = "launch/patient patient/Patient.r"
        _, asked = await house.consent_page(app, scope, person=person)
        agreed = await person.agree(asked, remember="yes")
        assert (await app.exchange(agreed.parameters["code"])).status_code == 200
        _, remembered = await house.consent_page(app, scope, person=person)
        assert "code" in remembered.parameters
        page = await person.go(f"{house.issuer}/manage")
        (grant,) = ids_of(page) - before
        form = next(one for one in page.forms if one.value("grant") == grant)
        await person.go(f"{house.issuer}/manage", data=form.fields)
        _, asked = await house.consent_page(app, scope, person=person)
        assert asked.left_for is None
        assert asked.form("/consent").method == "post"

    async def test_nobody_ends_the_grant_of_somebody_else(self, house: House) -> None:
        doctor, nurse, app = house.person(), house.person(), house.app()
        before = ids_of(await at_the_page(house, doctor))
        tokens = await house.tokens(app, SCOPE, person=doctor)
        (grant,) = ids_of(await doctor.go(f"{house.issuer}/manage")) - before
        page = await at_the_page(house, nurse, "nurse")
        assert grant not in ids_of(page)
        csrf = next(value for form in page.forms if (value := form.value("csrf")) is not None)
        await nurse.go(f"{house.issuer}/manage", data=[("csrf", csrf), ("grant", grant)])
        foreign = await doctor.go(f"{house.issuer}/manage", data=[("csrf", csrf), ("grant", grant)])
        assert foreign.status == 400
        assert await works(app, tokens) == (True, True)

    async def test_who_is_not_signed_in_sees_and_ends_nothing(self, house: House) -> None:
        stranger = house.person()
        page = await stranger.go(f"{house.issuer}/manage")
        assert page.form("/sign-in").method == "post"
        page = await stranger.go(f"{house.issuer}/manage", data=[("csrf", "x"), ("grant", "y")])
        assert page.form("/sign-in").method == "post"
