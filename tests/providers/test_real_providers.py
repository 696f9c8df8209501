"""The same people sign in with two real providers: one that is certified, one that is written in Python."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.gateway.lenient import Lenient
from tests.providers.real import KINDS, Kind, through
from tests.providers.visiting import depart, is_signed_in, reason_of, signing_in_at
from tests.servers.process import NotAvailable, Server, free_port
from tests.smart.house import House, smart_house
from tests.smart.person import Page, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "launch/patient openid fhirUser patient/Patient.rs"


@dataclass
class Elsewhere:
    """The gateway, and the provider where its people sign in."""

    house: House
    kind: Kind
    server: Server

    def browser(self) -> Person:
        """One that follows redirects at the provider."""
        browser = Person(self.server.base_url)
        self.house.people.append(browser)
        return browser

    async def callback(self, person: Person, username: str, browser: Person | None = None, scope: str = SCOPE) -> str:
        """Where the provider sends the browser of somebody who signed in for an app of ours."""
        page = await person.go(self.house.app().authorization_url(scope))
        _, left = await through(browser or self.browser(), await depart(person, page), self.kind, username)
        assert left.left_for is not None, left.text
        return left.left_for


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS, ids=lambda kind: kind.name)
async def elsewhere(request: pytest.FixtureRequest, charts: Lenient) -> AsyncIterator[Elsewhere]:
    kind: Kind = request.param
    port = free_port()
    try:
        server = kind.start(f"http://127.0.0.1:{port}/auth/signed-in")
    except NotAvailable as missing:
        pytest.skip(str(missing))
    with server:
        change = signing_in_at(server.base_url, **kind.settings)
        async with smart_house(charts.base_url, change=change, port=port) as house:
            yield Elsewhere(house, kind, server)


async def test_an_app_is_launched_through_it(elsewhere: Elsewhere) -> None:
    house = elsewhere.house
    app, person = house.app(), house.person()
    page = await person.go(app.authorization_url(SCOPE))
    assert "The Clinic" in page.text
    _, left = await through(elsewhere.browser(), await depart(person, page), elsewhere.kind, "doctor")
    page = await person.go(left.left_for or "")
    page = await person.agree(await person.choose(page, "pat-b"))
    answer = (await app.exchange(page.parameters["code"])).json()
    assert (answer["patient"], set(answer["scope"].split())) == ("pat-b", set(SCOPE.split()))
    assert (await app.read("/Patient/pat-b", answer["access_token"])).status_code == 200
    assert (await app.read("/Patient/pat-a", answer["access_token"])).status_code == 404


async def test_a_patient_is_known_by_the_claim(elsewhere: Elsewhere) -> None:
    person = elsewhere.house.person()
    page = await person.go(await elsewhere.callback(person, "patient"))
    assert page.form("/consent").method == "post", "nobody has to be chosen"
    page = await person.go(f"{elsewhere.house.issuer}/manage")
    assert "Pat A" in page.text


async def test_a_user_without_a_resource_of_their_own_can_grant_no_records(elsewhere: Elsewhere) -> None:
    person = elsewhere.house.person()
    page = await person.go(await elsewhere.callback(person, "clerk", scope="launch/patient patient/Patient.rs"))
    assert page.parameters["error"] == "invalid_scope"


async def test_a_wrong_password_brings_nobody_back(elsewhere: Elsewhere) -> None:
    if not elsewhere.kind.knows_passwords:
        pytest.skip("This provider's own pages take any password.")
    person = elsewhere.house.person()
    away = await depart(person, await person.go(elsewhere.house.app().authorization_url(SCOPE)))
    pages, left = await through(elsewhere.browser(), away, elsewhere.kind, "doctor", password="wrong")
    assert left.left_for is None
    assert len(pages) == 8
    assert not await is_signed_in(elsewhere.house, person)


async def test_who_declines_there_declines_here(elsewhere: Elsewhere) -> None:
    person = elsewhere.house.person()
    away = await depart(person, await person.go(elsewhere.house.app().authorization_url(SCOPE)))
    _, left = await through(elsewhere.browser(), away, elsewhere.kind, "newcomer", consent=False)
    page = await person.go(left.left_for or "")
    assert page.parameters["error"] == "access_denied"
    assert not await is_signed_in(elsewhere.house, person)


async def test_the_hint_of_an_app_goes_with_the_browser(elsewhere: Elsewhere) -> None:
    person = elsewhere.house.person()
    page = await person.go(elsewhere.house.app().authorization_url(SCOPE, login_hint="doctor"))
    away = await depart(person, page)
    assert "login_hint=doctor" in away
    pages, _ = await through(elsewhere.browser(), away, elsewhere.kind, "doctor")
    assert ("doctor" in pages[0].html) == elsewhere.kind.fills_in_hints


async def test_who_is_signed_in_there_is_asked_again_only_where_the_app_wants_it(elsewhere: Elsewhere) -> None:
    browser, house = elsewhere.browser(), elsewhere.house
    await elsewhere.callback(house.person(), "nurse", browser)

    async def asks(person: Person, prompt: str | None) -> tuple[bool, str]:
        page = await person.go(house.app().authorization_url(SCOPE, prompt=prompt))
        pages, left = await through(browser, await depart(person, page), elsewhere.kind, "nurse")
        return any(_asks_for_a_password(one) for one in pages), left.left_for or ""

    assert not (await asks(house.person(), None))[0]
    person = house.person()
    asked, callback = await asks(person, "login")
    await person.go(callback)
    assert (asked, await is_signed_in(house, person)) == (True, True)


async def test_an_answer_serves_once(elsewhere: Elsewhere) -> None:
    person = elsewhere.house.person()
    callback = await elsewhere.callback(person, "porter")
    await person.go(callback)
    assert reason_of(await person.go(callback)) == "login_foreign"


async def test_a_code_of_another_login_is_refused_by_the_provider(elsewhere: Elsewhere) -> None:
    victim, thief = elsewhere.house.person(), elsewhere.house.person()
    stolen = dict(part.split("=", 1) for part in (await elsewhere.callback(victim, "doctor")).split("?")[1].split("&"))
    own = await elsewhere.callback(thief, "patient")
    page = await thief.go(own.replace(own.partition("code=")[2].partition("&")[0], stolen["code"]))
    assert reason_of(page) == "provider_refused", "the code belongs to another challenge"
    assert not await is_signed_in(elsewhere.house, thief)


def _asks_for_a_password(page: Page) -> bool:
    return any(name == "password" for form in page.forms for name, _ in form.fields)
