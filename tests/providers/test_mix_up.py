"""A provider that sends people on to another one, to get the code that the other one makes (RFC 9700 4.4)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from tests.gateway.lenient import Lenient
from tests.providers.hostile import Hostile, Lies, hostile_provider
from tests.providers.visiting import depart, is_signed_in, reason_of, signing_in_at
from tests.smart.house import House, smart_house
from tests.smart.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "openid fhirUser launch/patient patient/Patient.rs"


@dataclass
class Town:
    """A house with two providers that do not name themselves in their answers, as Entra ID does not (RFC 9207)."""

    house: House
    honest: Hostile
    evil: Hostile

    async def request_at(self, person: Person, index: int) -> dict[str, str]:
        """The parameters that somebody has with them at a provider, for an app."""
        page = await person.go(self.house.app().authorization_url(SCOPE))
        return query_of(await depart(person, page, index))

    async def visit_at(self, person: Person, index: int) -> dict[str, str]:
        """The same for a page of our own."""
        await person.go(f"{self.house.issuer}/sign-in?to=manage")
        page = await person.go(f"{self.house.issuer}/sign-in/provider/{index}?to=manage")
        return query_of(page.left_for or "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(charts: Lenient) -> AsyncIterator[Town]:
    silent = Lies(discovery={"authorization_response_iss_parameter_supported": None}, callback={"iss": None})
    async with hostile_provider() as honest, hostile_provider() as evil:
        honest.lies = evil.lies = silent
        async with smart_house(charts.base_url, change=signing_in_at(honest.root, evil.root)) as house:
            yield Town(house, honest, evil)


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize("way", [Town.request_at, Town.visit_at], ids=["for an app", "for a page of ours"])
async def test_a_provider_gets_no_code_of_another(town: Town, way: object) -> None:
    assert callable(way)
    town.evil.forms.clear()
    attacker, victim = town.house.person(), town.house.person()
    own = await way(town, attacker, 0)
    state = (await way(town, victim, 1))["state"]
    crafted = f"{town.honest.root}/authorize?{urlencode({**own, 'state': state})}"
    page = await victim.go(town.honest.authorized(crafted))
    assert reason_of(page) == "provider_not_believed"
    assert town.evil.forms == []
    assert not await is_signed_in(town.house, victim)


@pytest.mark.parametrize("index", [0, 1])
async def test_each_comes_back_by_an_address_of_its_own(town: Town, index: int) -> None:
    provider = (town.honest, town.evil)[index]
    person = town.house.person()
    asked = await town.request_at(person, index)
    assert asked["redirect_uri"] == town.house.issuer + ("/signed-in", "/signed-in/2")[index]
    page = await person.go(provider.authorized(f"{provider.root}/authorize?{urlencode(asked)}"))
    assert page.forms[-1].action.endswith("/patient")


@pytest.mark.parametrize("place", ["/0", "/1", "/3", "/99999999999999999999", ""])
async def test_no_other_address_is_taken_for_it(town: Town, place: str) -> None:
    person = town.house.person()
    state = (await town.request_at(person, 1))["state"]
    page = await person.go(f"{town.house.issuer}/signed-in{place}?{urlencode({'code': 'x', 'state': state})}")
    assert reason_of(page) == "provider_not_believed"
