"""Mix-up attack: a provider redirects users to another one to get the code of that one (RFC 9700 4.4)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from tests.identity_providers.browser_login import is_signed_in, leave_for_provider, reason_of, with_providers
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, hostile_provider
from tests.proxy.lenient_server import LenientServer
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "openid fhirUser launch/patient patient/Patient.rs"


@dataclass
class HouseWithTwoProviders:
    """A server with two providers that send no `iss` in their responses, like Entra ID (RFC 9207)."""

    server: RunningServer
    honest: HostileProvider
    evil: HostileProvider

    async def request_at(self, person: Person, index: int) -> dict[str, str]:
        """The parameters of the authorization request to a provider, for an app."""
        page = await person.open(self.server.app().authorization_url(SCOPE))
        return query_of(await leave_for_provider(person, page, index))

    async def visit_at(self, person: Person, index: int) -> dict[str, str]:
        """The same for the portal."""
        await person.open(f"{self.server.issuer}/sign-in?to=manage")
        page = await person.open(f"{self.server.issuer}/sign-in/provider/{index}?to=manage")
        return query_of(page.left_for or "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(charts: LenientServer) -> AsyncIterator[HouseWithTwoProviders]:
    silent = Tampering(discovery={"authorization_response_iss_parameter_supported": None}, callback={"iss": None})
    async with hostile_provider() as honest, hostile_provider() as evil:
        honest.tampering = evil.tampering = silent
        async with run_smart_server(charts.base_url, change=with_providers(honest.root, evil.root)) as server:
            yield HouseWithTwoProviders(server, honest, evil)


def query_of(url: str) -> dict[str, str]:
    """The query parameters of a URL."""
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize(
    "way", [HouseWithTwoProviders.request_at, HouseWithTwoProviders.visit_at], ids=["for an app", "for a page of ours"]
)
async def test_a_provider_gets_no_code_of_another(town: HouseWithTwoProviders, way: object) -> None:
    assert callable(way)
    town.evil.forms.clear()
    attacker, victim = town.server.person(), town.server.person()
    own = await way(town, attacker, 0)
    state = (await way(town, victim, 1))["state"]
    crafted = f"{town.honest.root}/authorize?{urlencode({**own, 'state': state})}"
    page = await victim.open(town.honest.callback_url(crafted))
    assert reason_of(page) == "provider_not_believed"
    assert town.evil.forms == []
    assert not await is_signed_in(town.server, victim)


@pytest.mark.parametrize("index", [0, 1])
async def test_each_comes_back_by_an_address_of_its_own(town: HouseWithTwoProviders, index: int) -> None:
    provider = (town.honest, town.evil)[index]
    person = town.server.person()
    parameters = await town.request_at(person, index)
    assert parameters["redirect_uri"] == town.server.issuer + ("/signed-in", "/signed-in/2")[index]
    page = await person.open(provider.callback_url(f"{provider.root}/authorize?{urlencode(parameters)}"))
    assert page.forms[-1].action.endswith("/patient")


@pytest.mark.parametrize("place", ["/0", "/1", "/3", "/99999999999999999999", ""])
async def test_no_other_address_is_taken_for_it(town: HouseWithTwoProviders, place: str) -> None:
    person = town.server.person()
    state = (await town.request_at(person, 1))["state"]
    page = await person.open(f"{town.server.issuer}/signed-in{place}?{urlencode({'code': 'x', 'state': state})}")
    assert reason_of(page) == "provider_not_believed"
