"""Users sign in to the SMART server with Keycloak, as in docs/sign-in.md."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.identity_providers.browser_login import is_signed_in, leave_for_provider, reason_of, with_providers
from tests.identity_providers.sign_in_document import printed
from tests.keycloak.conftest import PASSWORD
from tests.servers.keycloak.administration import Administration, ManagedRealm
from tests.servers.keycloak.signing_in import SignInError, browser, sign_in
from tests.servers.ports import free_port
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.keycloak, pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

CLIENT_ID, SECRET = printed("client")["clientId"], "a +secret/with:every%kind&of=sign"
ONLINE = "launch/patient online_access patient/Patient.r"
SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.r patient/Observation.rs"


@dataclass
class Clinic:
    """The gateway, the realm of its users, and the internal ids of users and clients."""

    server: RunningServer
    realm: ManagedRealm
    ids: dict[str, str]

    async def departed(self, person: Person, scope: str = SCOPE, **changes: str) -> str:
        """The URL at Keycloak that the sign-in page links to."""
        return await leave_for_provider(
            person, await person.open(self.server.app().authorization_url(scope, **changes))
        )

    async def arrived(self, username: str, scope: str = SCOPE, **changes: str) -> tuple[Person, Page]:
        """A person with a new browser who signed in at Keycloak."""
        person = self.server.person()
        url = await self.departed(person, scope, **changes)
        async with browser() as elsewhere:
            return person, await person.open(await sign_in(elsewhere, url, username, PASSWORD))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(keycloak: Server) -> AsyncIterator[Clinic]:
    port = free_port()
    with start_sekmet() as fhir_server:
        async with Administration(keycloak.base_url) as administration, administration.realm() as realm:
            await realm.declare_attributes(printed("user-profile"))
            redirect_uri = f"http://127.0.0.1:{port}/auth/signed-in"
            attributes = {
                **printed("client")["attributes"],
                "backchannel.logout.url": f"http://127.0.0.1:{port}/auth/backchannel-logout",
            }
            client = {
                **printed("client"), "secret": SECRET, "redirectUris": [redirect_uri], "attributes": attributes,
            }  # fmt: skip
            ids = {
                CLIENT_ID: await realm.add_client(client),
                "dora": await realm.add_user("dora", PASSWORD, fhirUser="Practitioner/practitioner-1"),
                "anna": await realm.add_user("anna", PASSWORD, fhirUser=f"http://127.0.0.1:{port}/fhir/Patient/pat-a"),
                "fred": await realm.add_user("fred", PASSWORD, fhirUser="https://elsewhere.example/fhir/Patient/pat-a"),
                "carl": await realm.add_user("carl", PASSWORD),
            }
            change = with_providers(realm.realm.issuer, client_id=CLIENT_ID, client_secret=SECRET)
            async with run_smart_server(fhir_server.base_url, change=change, port=port) as server:
                yield Clinic(server, realm, ids)


async def test_an_app_is_launched_and_sees_the_chosen_patient_alone(clinic: Clinic) -> None:
    server, person = clinic.server, clinic.server.person()
    app = server.app()
    url = await leave_for_provider(person, await person.open(app.authorization_url(SCOPE, nonce="n")))
    asked = parse_qs(urlsplit(url).query)
    assert (asked["code_challenge_method"], asked["scope"]) == (["S256"], ["openid profile"])
    async with browser() as elsewhere:
        page = await person.open(await sign_in(elsewhere, url, "dora", PASSWORD))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
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
    assert "Anna Example" in (await person.open(f"{clinic.server.issuer}/manage")).text


@pytest.mark.parametrize("username", ["carl", "fred"], ids=["no resource", "a resource elsewhere"])
async def test_who_has_no_resource_here_can_grant_no_records(clinic: Clinic, username: str) -> None:
    _, page = await clinic.arrived(username, "launch/patient patient/Patient.r")
    assert page.parameters["error"] == "invalid_scope"


async def test_a_wrong_password_brings_nobody_back(clinic: Clinic) -> None:
    person = clinic.server.person()
    async with browser() as elsewhere:
        with pytest.raises(SignInError, match="Invalid username or password"):
            await sign_in(elsewhere, await clinic.departed(person), "dora", "wrong")
    assert not await is_signed_in(clinic.server, person)


async def test_who_declines_there_declines_here(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], consentRequired=True)
    try:
        person = clinic.server.person()
        async with browser() as elsewhere:
            callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD, consent=False)
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], consentRequired=False)
    page = await person.open(callback)
    assert page.parameters["error"] == "access_denied"
    assert not await is_signed_in(clinic.server, person)


async def test_the_session_there_serves_until_an_app_wants_a_new_login(clinic: Clinic) -> None:
    async with browser() as elsewhere:
        await sign_in(elsewhere, await clinic.departed(clinic.server.person()), "dora", PASSWORD)
        for wish in ({}, {"max_age": "600"}):
            person = clinic.server.person()
            url = await clinic.departed(person, **wish)
            await person.open(await sign_in(elsewhere, url, "dora", "not even looked at"))
            assert await is_signed_in(clinic.server, person), wish
        for wish in ({"prompt": "login"}, {"max_age": "0"}):
            person = clinic.server.person()
            url = await clinic.departed(person, **wish)
            with pytest.raises(SignInError, match="Invalid"):
                await sign_in(elsewhere, url, "dora", "wrong")
            await person.open(await sign_in(elsewhere, url, "dora", PASSWORD))
            assert await is_signed_in(clinic.server, person), wish


async def test_the_session_of_a_colleague_there_does_not_serve_after_not_you(clinic: Clinic) -> None:
    """Keycloak asks for the password again, and for that of the session's user: it cannot select an account."""
    person = clinic.server.person()
    async with browser() as elsewhere:
        page = await person.open(await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD))
        page = await person.submit(page, "/switch-user")
        assert not await is_signed_in(clinic.server, person)
        with pytest.raises(SignInError, match="Invalid"):
            await sign_in(elsewhere, await leave_for_provider(person, page), "anna", "wrong")
        assert not await is_signed_in(clinic.server, person)
    async with browser() as signed_out_there:
        url = await leave_for_provider(person, await person.open(page.url))
        page = await person.open(await sign_in(signed_out_there, url, "anna", PASSWORD))
    assert "Anna Example" in page.text
    assert page.form("/consent").method == "post"


async def test_the_hint_of_an_app_is_filled_in_there(clinic: Clinic) -> None:
    url = await clinic.departed(clinic.server.person(), login_hint="dora@example.org")
    async with browser() as elsewhere:
        assert "dora@example.org" in (await elsewhere.get(url)).text


async def test_the_answer_says_who_gives_it_and_must(clinic: Clinic) -> None:
    for other in ("", "https%3A%2F%2Felsewhere.example"):
        person = clinic.server.person()
        async with browser() as elsewhere:
            callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
        told, _, issuer = callback.partition("&iss=")
        assert issuer
        page = await person.open(f"{told}&iss={other}" + "".join(issuer.partition("&")[1:]))
        assert reason_of(page) == "provider_not_believed"
        assert not await is_signed_in(clinic.server, person)


async def test_an_answer_serves_one_browser_once(clinic: Clinic) -> None:
    person, thief = clinic.server.person(), clinic.server.person()
    await clinic.departed(thief)
    async with browser() as elsewhere:
        callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
    assert reason_of(await thief.open(callback)) == "login_foreign"
    await person.open(callback)
    assert reason_of(await person.open(callback)) == "login_foreign"
    assert await is_signed_in(clinic.server, person)
    assert not await is_signed_in(clinic.server, thief)


async def test_a_code_of_another_login_is_worth_nothing(clinic: Clinic) -> None:
    victim, thief = clinic.server.person(), clinic.server.person()
    async with browser() as first, browser() as second:
        stolen = await sign_in(first, await clinic.departed(victim), "dora", PASSWORD)
        own = await sign_in(second, await clinic.departed(thief), "carl", PASSWORD)
    thiefs, victims = (parse_qs(urlsplit(item).query)["code"][0] for item in (own, stolen))
    assert reason_of(await thief.open(own.replace(thiefs, victims))) == "provider_refused"
    assert not await is_signed_in(clinic.server, thief)


async def test_keys_may_change_between_two_logins(clinic: Clinic) -> None:
    await clinic.arrived("dora")
    await clinic.realm.rotate_signing_key()
    person, _ = await clinic.arrived("dora")
    assert await is_signed_in(clinic.server, person)


async def test_signing_out_ends_the_session_and_what_lasts_as_long(clinic: Clinic) -> None:
    server = clinic.server
    app, person = server.app(), server.person()
    async with browser() as elsewhere:
        url = await leave_for_provider(person, await person.open(app.authorization_url(ONLINE)))
        page = await person.open(await sign_in(elsewhere, url, "anna", PASSWORD))
        page = await person.agree(page)
        answer = (await app.exchange(page.parameters["code"])).json()
        refreshed = (await app.refresh(answer["refresh_token"])).json()
        page = await person.open(f"{server.issuer}/manage")
        assert (await person.submit(page, "/sign-out")).title.startswith("Signed out")
        assert not await is_signed_in(server, person)
        assert (await app.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"
        page = await person.open(app.authorization_url(ONLINE))
        assert page.title.startswith("Sign in")
        # The session at Keycloak continues, as the page says.
        assert await sign_in(elsewhere, await leave_for_provider(person, page), "anna", "not even looked at")


async def test_a_wrong_secret_is_our_trouble(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], secret="another")
    try:
        person, page = await clinic.arrived("dora")
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], secret=SECRET)
    assert (page.status, reason_of(page)) == (502, "provider_refused")
    assert not await is_signed_in(clinic.server, person)


async def test_a_disabled_client_is_a_page_at_keycloak(clinic: Clinic) -> None:
    await clinic.realm.change_client(clinic.ids[CLIENT_ID], enabled=False)
    try:
        async with browser() as elsewhere:
            with pytest.raises(SignInError):
                await sign_in(elsewhere, await clinic.departed(clinic.server.person()), "dora", PASSWORD)
    finally:
        await clinic.realm.change_client(clinic.ids[CLIENT_ID], enabled=True)


async def test_a_realm_that_is_closed_is_a_page_and_no_crash(clinic: Clinic) -> None:
    person = clinic.server.person()
    async with browser() as elsewhere:
        callback = await sign_in(elsewhere, await clinic.departed(person), "dora", PASSWORD)
    await clinic.realm.request("PUT", "", {"enabled": False})
    try:
        page = await person.open(callback)
    finally:
        await clinic.realm.request("PUT", "", {"enabled": True})
    assert (page.status, reason_of(page)) == (502, "provider_unavailable")
    assert not await is_signed_in(clinic.server, person)
    person, _ = await clinic.arrived("dora")
    assert await is_signed_in(clinic.server, person), "as soon as it is open again"


async def test_signing_out_there_ends_the_session_here_and_what_lasts_as_long(clinic: Clinic) -> None:
    server = clinic.server
    app, person, (other, _) = server.app(), server.person(), await clinic.arrived("anna")
    url = await leave_for_provider(person, await person.open(app.authorization_url(ONLINE)))
    async with browser() as elsewhere:
        page = await person.open(await sign_in(elsewhere, url, "dora", PASSWORD))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    tokens = (await app.exchange(page.parameters["code"])).json()
    assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200
    await clinic.realm.end_sessions(clinic.ids["dora"])
    assert not await is_signed_in(server, person)
    assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 401
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await is_signed_in(server, other)
