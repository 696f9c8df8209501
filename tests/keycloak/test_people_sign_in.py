"""People sign in to our SMART server with Keycloak, set up as docs/sign-in.md says."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.keycloak.conftest import PASSWORD
from tests.providers.document import printed
from tests.providers.visiting import depart, is_signed_in, reason_of, signing_in_at
from tests.servers.keycloak.administration import Administration, ManagedRealm
from tests.servers.keycloak.signing_in import NotSignedIn, browser, sign_in
from tests.servers.process import Server, free_port
from tests.servers.sekmet import start_sekmet
from tests.smart.house import House, smart_house
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.keycloak, pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

CLIENT_ID, SECRET = printed("client")["clientId"], "a +secret/with:every%kind&of=sign"
SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.r patient/Observation.rs"


@dataclass
class Clinic:
    """The gateway, the realm where its people sign in, and the ids of users and clients there."""

    house: House
    realm: ManagedRealm
    ids: dict[str, str]

    async def departed(self, person: Person, scope: str = SCOPE, **changes: str) -> str:
        """The address at Keycloak that the sign-in page leads to."""
        return await depart(person, await person.go(self.house.app().authorization_url(scope, **changes)))

    async def arrived(self, username: str, scope: str = SCOPE, **changes: str) -> tuple[Person, Page]:
        """A person who signed in there, with a browser that knew nothing before, and came back."""
        person = self.house.person()
        url = await self.departed(person, scope, **changes)
        async with browser() as elsewhere:
            return person, await person.go(await sign_in(elsewhere, url, username, PASSWORD))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(keycloak: Server) -> AsyncIterator[Clinic]:
    port = free_port()
    with start_sekmet() as fhir_server:
        async with Administration(keycloak.base_url) as administration, administration.realm() as realm:
            await realm.declare_attributes(printed("user-profile"))
            redirect_uri = f"http://127.0.0.1:{port}/auth/signed-in"
            client = {**printed("client"), "secret": SECRET, "redirectUris": [redirect_uri]}
            ids = {
                CLIENT_ID: await realm.add_client(client),
                "dora": await realm.add_user("dora", PASSWORD, fhirUser="Practitioner/practitioner-1"),
                "anna": await realm.add_user("anna", PASSWORD, fhirUser=f"http://127.0.0.1:{port}/fhir/Patient/pat-a"),
                "fred": await realm.add_user("fred", PASSWORD, fhirUser="https://elsewhere.example/fhir/Patient/pat-a"),
                "carl": await realm.add_user("carl", PASSWORD),
            }
            change = signing_in_at(realm.front.issuer, client_id=CLIENT_ID, client_secret=SECRET)
            async with smart_house(fhir_server.base_url, change=change, port=port) as house:
                yield Clinic(house, realm, ids)


async def test_an_app_is_launched_and_sees_the_chosen_patient_alone(clinic: Clinic) -> None:
    house, person = clinic.house, clinic.house.person()
    app = house.app()
    url = await depart(person, await person.go(app.authorization_url(SCOPE, nonce="n")))
    asked = parse_qs(urlsplit(url).query)
    assert (asked["code_challenge_method"], asked["scope"]) == (["S256"], ["openid profile"])
    async with browser() as elsewhere:
        page = await person.go(await sign_in(elsewhere, url, "dora", PASSWORD))
    page = await person.agree(await person.choose(page, "pat-a"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], set(answer["scope"].split())) == ("pat-a", set(SCOPE.split()))
    token = answer["access_token"]
    assert (await app.read("/Patient/pat-a", token)).status_code == 200
    assert (await app.read("/Patient/pat-b", token)).status_code == 404
    assert (await app.read("/Observation", token)).json()["entry"]
    assert (await app.refresh(answer["refresh_token"])).status_code == 200


async def test_a_patient_whose_claim_is_absolute_needs_no_picker(clinic: Clinic) -> None:
    person, page = await clinic.arrived("anna")
    assert page.form("/consent").method == "post"
    assert "Anna Example" in (await person.go(f"{clinic.house.issuer}/manage")).text


@pytest.mark.parametrize("username", ["carl", "fred"], ids=["no resource", "a resource elsewhere"])
async def test_who_has_no_resource_here_can_grant_no_records(clinic: Clinic, username: str) -> None:
    _, page = await clinic.arrived(username, "launch/patient patient/Patient.r")
    assert page.parameters["error"] == "invalid_scope"


async def test_a_wrong_password_brings_nobody_back(clinic: Clinic) -> None:
    person = clinic.house.person()
    async with browser() as elsewhere:
        with pytest.raises(NotSignedIn, match="Invalid username or password"):
            await sign_in(elsewhere, await clinic.departed(person), "dora", "wrong")
    assert not await is_signed_in(clinic.house, person)


async def test_who_declines_there_declines_here(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], consentRequired=True)
    try:
        person = clinic.house.person()
        async with browser() as elsewhere:
            callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD, consent=False)
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], consentRequired=False)
    page = await person.go(callback)
    assert page.parameters["error"] == "access_denied"
    assert not await is_signed_in(clinic.house, person)


async def test_the_session_there_serves_until_an_app_wants_a_new_login(clinic: Clinic) -> None:
    async with browser() as elsewhere:
        await sign_in(elsewhere, await clinic.departed(clinic.house.person()), "dora", PASSWORD)
        for wish in ({}, {"max_age": "600"}):
            person = clinic.house.person()
            url = await clinic.departed(person, **wish)
            await person.go(await sign_in(elsewhere, url, "dora", "not even looked at"))
            assert await is_signed_in(clinic.house, person), wish
        for wish in ({"prompt": "login"}, {"max_age": "0"}):
            person = clinic.house.person()
            url = await clinic.departed(person, **wish)
            with pytest.raises(NotSignedIn, match="Invalid"):
                await sign_in(elsewhere, url, "dora", "wrong")
            await person.go(await sign_in(elsewhere, url, "dora", PASSWORD))
            assert await is_signed_in(clinic.house, person), wish


async def test_the_hint_of_an_app_is_filled_in_there(clinic: Clinic) -> None:
    url = await clinic.departed(clinic.house.person(), login_hint="dora@example.org")
    async with browser() as elsewhere:
        assert "dora@example.org" in (await elsewhere.get(url)).text


async def test_the_answer_says_who_gives_it_and_must(clinic: Clinic) -> None:
    for other in ("", "https%3A%2F%2Felsewhere.example"):
        person = clinic.house.person()
        async with browser() as elsewhere:
            callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
        told, _, issuer = callback.partition("&iss=")
        assert issuer
        page = await person.go(f"{told}&iss={other}" + "".join(issuer.partition("&")[1:]))
        assert reason_of(page) == "provider_not_believed"
        assert not await is_signed_in(clinic.house, person)


async def test_an_answer_serves_one_browser_once(clinic: Clinic) -> None:
    person, thief = clinic.house.person(), clinic.house.person()
    await clinic.departed(thief)
    async with browser() as elsewhere:
        callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
    assert reason_of(await thief.go(callback)) == "login_foreign"
    await person.go(callback)
    assert reason_of(await person.go(callback)) == "login_foreign"
    assert await is_signed_in(clinic.house, person)
    assert not await is_signed_in(clinic.house, thief)


async def test_a_code_of_another_login_is_worth_nothing(clinic: Clinic) -> None:
    victim, thief = clinic.house.person(), clinic.house.person()
    async with browser() as first, browser() as second:
        stolen = await sign_in(first, await clinic.departed(victim), "dora", PASSWORD)
        own = await sign_in(second, await clinic.departed(thief), "carl", PASSWORD)
    thiefs, victims = (parse_qs(urlsplit(one).query)["code"][0] for one in (own, stolen))
    assert reason_of(await thief.go(own.replace(thiefs, victims))) == "provider_refused"
    assert not await is_signed_in(clinic.house, thief)


async def test_keys_may_change_between_two_logins(clinic: Clinic) -> None:
    await clinic.arrived("dora")
    await clinic.realm.rotate_signing_key()
    person, _ = await clinic.arrived("dora")
    assert await is_signed_in(clinic.house, person)


async def test_signing_out_ends_the_session_and_what_lasts_as_long(clinic: Clinic) -> None:
    house = clinic.house
    app, person = house.app(), house.person()
    scope = "launch/patient online_access patient/Patient.r"
    async with browser() as elsewhere:
        url = await depart(person, await person.go(app.authorization_url(scope)))
        page = await person.go(await sign_in(elsewhere, url, "anna", PASSWORD))
        page = await person.agree(page)
        answer = (await app.exchange(page.parameters["code"])).json()
        refreshed = (await app.refresh(answer["refresh_token"])).json()
        page = await person.go(f"{house.issuer}/manage")
        assert (await person.send(page, "/sign-out")).title.startswith("Signed out")
        assert not await is_signed_in(house, person)
        assert (await app.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"
        page = await person.go(app.authorization_url(scope))
        assert page.title.startswith("Sign in")
        # Keycloak's own session goes on, as the page says.
        assert await sign_in(elsewhere, await depart(person, page), "anna", "not even looked at")


async def test_a_wrong_secret_is_our_trouble(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], secret="another")
    try:
        person, page = await clinic.arrived("dora")
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], secret=SECRET)
    assert (page.status, reason_of(page)) == (502, "provider_refused")
    assert not await is_signed_in(clinic.house, person)


async def test_a_disabled_client_is_a_page_at_keycloak(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], enabled=False)
    try:
        async with browser() as elsewhere:
            with pytest.raises(NotSignedIn):
                await sign_in(elsewhere, await clinic.departed(clinic.house.person()), "dora", PASSWORD)
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], enabled=True)


async def test_a_realm_that_is_closed_is_a_page_and_no_crash(clinic: Clinic) -> None:
    person = clinic.house.person()
    async with browser() as elsewhere:
        callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
    await clinic.realm.ask("PUT", "", {"enabled": False})
    try:
        page = await person.go(callback)
    finally:
        await clinic.realm.ask("PUT", "", {"enabled": True})
    assert (page.status, reason_of(page)) == (502, "provider_unavailable")
    assert not await is_signed_in(clinic.house, person)
    person, _ = await clinic.arrived("dora")
    assert await is_signed_in(clinic.house, person), "as soon as it is open again"
