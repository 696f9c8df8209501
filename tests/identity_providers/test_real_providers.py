"""Logins at two real providers: one that is certified, and one that is written in Python."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.identity_providers.browser_login import is_signed_in, leave_for_provider, reason_of, with_providers
from tests.identity_providers.real_providers import REAL_PROVIDERS, RealProvider, log_in_at_provider
from tests.proxy.lenient_server import LenientServer
from tests.servers.ports import free_port
from tests.servers.process import NotAvailable, Server
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.identity_provider]

SCOPE = "launch/patient openid fhirUser patient/Patient.rs"


@dataclass
class GatewayWithProvider:
    """The gateway and a real provider."""

    server: RunningServer
    kind: RealProvider
    provider_server: Server

    def browser(self) -> Person:
        """A browser that follows redirects at the provider."""
        browser = Person(self.provider_server.base_url)
        self.server.people.append(browser)
        return browser

    async def callback(self, person: Person, username: str, browser: Person | None = None, scope: str = SCOPE) -> str:
        """Sign in at the provider for an app; the callback URL."""
        page = await person.open(self.server.app().authorization_url(scope))
        _, left = await log_in_at_provider(
            browser or self.browser(), await leave_for_provider(person, page), self.kind, username
        )
        assert left.left_for is not None, left.text
        return left.left_for


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=REAL_PROVIDERS, ids=lambda kind: kind.name)
async def elsewhere(request: pytest.FixtureRequest, charts: LenientServer) -> AsyncIterator[GatewayWithProvider]:
    kind: RealProvider = request.param
    port = free_port()
    try:
        provider_server = kind.start(f"http://127.0.0.1:{port}/auth/signed-in")
    except NotAvailable as missing:
        pytest.skip(str(missing))
    with provider_server:
        change = with_providers(provider_server.base_url, **kind.settings)
        async with run_smart_server(charts.base_url, change=change, port=port) as server:
            yield GatewayWithProvider(server, kind, provider_server)


async def test_an_app_is_launched_through_it(elsewhere: GatewayWithProvider) -> None:
    server = elsewhere.server
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url(SCOPE))
    assert "The Clinic" in page.text
    _, left = await log_in_at_provider(
        elsewhere.browser(), await leave_for_provider(person, page), elsewhere.kind, "doctor"
    )
    page = await person.open(left.left_for or "")
    page = await person.agree(await person.choose_patient(page, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], set(answer["scope"].split())) == ("pat-b", set(SCOPE.split()))
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 404


async def test_a_patient_is_known_by_the_claim(elsewhere: GatewayWithProvider) -> None:
    person = elsewhere.server.person()
    page = await person.open(await elsewhere.callback(person, "patient"))
    assert page.form("/consent").method == "post", "nobody has to be chosen"
    page = await person.open(f"{elsewhere.server.issuer}/manage")
    assert "Pat A" in page.text


async def test_a_user_without_a_resource_of_their_own_can_grant_no_records(elsewhere: GatewayWithProvider) -> None:
    person = elsewhere.server.person()
    page = await person.open(await elsewhere.callback(person, "clerk", scope="launch/patient patient/Patient.rs"))
    assert page.parameters["error"] == "invalid_scope"


async def test_who_signs_out_there_is_signed_out_here(elsewhere: GatewayWithProvider) -> None:
    if not elsewhere.kind.logs_out:
        pytest.skip("This provider has no back-channel logout.")
    server, browser = elsewhere.server, elsewhere.browser()
    person, other = server.person(), server.person()
    await person.open(await elsewhere.callback(person, "doctor", browser))
    await other.open(await elsewhere.callback(other, "doctor"))
    page = await browser.open(f"{elsewhere.provider_server.base_url}/session/end")
    await browser.submit(page, logout="yes")
    assert not await is_signed_in(server, person)
    assert await is_signed_in(server, other), "this browser has a session of its own there"


async def test_a_wrong_password_brings_nobody_back(elsewhere: GatewayWithProvider) -> None:
    if not elsewhere.kind.knows_passwords:
        pytest.skip("This provider's own pages take any password.")
    person = elsewhere.server.person()
    away = await leave_for_provider(person, await person.open(elsewhere.server.app().authorization_url(SCOPE)))
    pages, left = await log_in_at_provider(elsewhere.browser(), away, elsewhere.kind, "doctor", password="wrong")
    assert left.left_for is None
    assert len(pages) == 8
    assert not await is_signed_in(elsewhere.server, person)


async def test_who_declines_there_declines_here(elsewhere: GatewayWithProvider) -> None:
    person = elsewhere.server.person()
    away = await leave_for_provider(person, await person.open(elsewhere.server.app().authorization_url(SCOPE)))
    _, left = await log_in_at_provider(elsewhere.browser(), away, elsewhere.kind, "newcomer", consent=False)
    page = await person.open(left.left_for or "")
    assert page.parameters["error"] == "access_denied"
    assert not await is_signed_in(elsewhere.server, person)


async def test_the_hint_of_an_app_goes_with_the_browser(elsewhere: GatewayWithProvider) -> None:
    person = elsewhere.server.person()
    page = await person.open(elsewhere.server.app().authorization_url(SCOPE, login_hint="doctor"))
    away = await leave_for_provider(person, page)
    assert "login_hint=doctor" in away
    pages, _ = await log_in_at_provider(elsewhere.browser(), away, elsewhere.kind, "doctor")
    assert ("doctor" in pages[0].html) == elsewhere.kind.fills_in_hints


async def test_who_is_signed_in_there_is_asked_again_only_where_the_app_wants_it(
    elsewhere: GatewayWithProvider,
) -> None:
    browser, server = elsewhere.browser(), elsewhere.server
    await elsewhere.callback(server.person(), "nurse", browser)

    async def asks(person: Person, prompt: str | None) -> tuple[bool, str]:
        page = await person.open(server.app().authorization_url(SCOPE, prompt=prompt))
        pages, left = await log_in_at_provider(browser, await leave_for_provider(person, page), elsewhere.kind, "nurse")
        return any(_asks_for_a_password(page) for page in pages), left.left_for or ""

    assert not (await asks(server.person(), None))[0]
    person = server.person()
    asked_password, callback = await asks(person, "login")
    await person.open(callback)
    assert (asked_password, await is_signed_in(server, person)) == (True, True)


async def test_the_session_of_a_colleague_there_does_not_serve_after_not_you(elsewhere: GatewayWithProvider) -> None:
    """At a new login, canaille lets nobody sign in but the session's user, and its token endpoint may answer 500."""
    browser, server = elsewhere.browser(), elsewhere.server
    person = server.person()
    page = await person.open(await elsewhere.callback(person, "doctor", browser))
    assert "Signed in as Dr Dora Demo" in page.text
    page = await person.submit(page, "/switch-user")
    assert not await is_signed_in(server, person)
    away = await leave_for_provider(person, page)
    pages, left = await log_in_at_provider(browser, away, elsewhere.kind, "nurse")
    assert any(_asks_for_a_password(page) for page in pages)
    picker = await person.open(left.left_for or "")
    if elsewhere.kind.name == "oidc-provider":
        assert "Signed in as Nora Nurse" in picker.text
        assert picker.form("/patient").choices["patient"]
    elif picker.status == 200:
        assert "Signed in as Dr Dora Demo" in picker.text
    else:
        assert reason_of(picker) == "provider_unavailable"


async def test_an_answer_serves_once(elsewhere: GatewayWithProvider) -> None:
    person = elsewhere.server.person()
    callback = await elsewhere.callback(person, "porter")
    await person.open(callback)
    assert reason_of(await person.open(callback)) == "login_foreign"


async def test_a_code_of_another_login_is_refused_by_the_provider(elsewhere: GatewayWithProvider) -> None:
    victim, thief = elsewhere.server.person(), elsewhere.server.person()
    stolen = dict(part.split("=", 1) for part in (await elsewhere.callback(victim, "doctor")).split("?")[1].split("&"))
    own = await elsewhere.callback(thief, "patient")
    page = await thief.open(own.replace(own.partition("code=")[2].partition("&")[0], stolen["code"]))
    assert reason_of(page) == "provider_refused", "the code belongs to another challenge"
    assert not await is_signed_in(elsewhere.server, thief)


def _asks_for_a_password(page: Page) -> bool:
    return any(name == "password" for form in page.forms for name, _ in form.fields)
