"""Sign-in of administrators at an OpenID provider, which may lie."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.pages.what_pages_show import document, heading, links, main_text
from tests.admin.running_admin import RunningAdmin, run_admin
from tests.identity_providers.browser_login import with_providers
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, hostile_provider
from tests.proxy.lenient_server import lenient_server
from tests.smart_server.person_in_browser import Page, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENT = {"resourceType": "Patient", "id": "pat-a"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[HostileProvider]:
    async with hostile_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(provider: HostileProvider) -> AsyncIterator[RunningAdmin]:
    """An admin port with accounts, and with a provider."""

    def change(settings: dict[str, Any]) -> None:
        with_providers(provider.root)(settings)
        settings["smart_server"]["identity_providers"][0]["roles_claim"] = "roles"
        settings["admin"]["base_url"] = f"http://127.0.0.1:{settings['admin']['port']}"
        settings["admin"]["provider"] = {
            "issuer": provider.root,
            "operator_roles": ["gateway-operator"],
            "auditor_roles": ["gateway-auditor"],
        }

    async with lenient_server(PATIENT) as upstream, run_admin(upstream.base_url, change=change) as running:
        yield running


@pytest.fixture
def hostile(provider: HostileProvider) -> HostileProvider:
    """The provider, without tampering."""
    provider.impersonate(0)
    return provider


async def leave_for_provider(admin: RunningAdmin, person: Person) -> str:
    """Follow the link of the sign-in page; the URL at the provider."""
    page = await admin.open(person, "/sign-in")
    assert "/sign-in/provider" in links(page)
    page = await admin.open(person, "/sign-in/provider")
    assert page.left_for is not None, page.text
    return page.left_for


async def sign_in(admin: RunningAdmin, hostile: HostileProvider, *roles: str) -> tuple[Person, Page]:
    """Sign in at the provider as somebody with these roles; the page after the callback."""
    hostile.tampering = Tampering(claims={"roles": list(roles)})
    person = admin.stranger()
    return person, await person.open(hostile.callback_url(await leave_for_provider(admin, person)))


@pytest.mark.parametrize(("role", "words"), [("gateway-operator", "Operator"), ("gateway-auditor", "Auditor")])
async def test_the_roles_at_the_provider_are_those_here(
    admin: RunningAdmin, hostile: HostileProvider, role: str, words: str
) -> None:
    person, page = await sign_in(admin, hostile, role, "another")
    assert (page.status, heading(page)) == (200, "You are signed in")
    # A strict cookie is not sent on the redirect from another site, so the browser comes by itself.
    assert page.headers["refresh"] == "0; url=/"
    page = await admin.open(person, "/")
    [shown] = [element.text for element in document(page).elements if element.get("class") == "role"]
    assert (heading(page), shown) == ("Overview", words)
    assert "Dr Dora Demo" in page.text


async def test_whoever_has_no_role_here_stays_outside(admin: RunningAdmin, hostile: HostileProvider) -> None:
    person, page = await sign_in(admin, hostile, "another")
    assert page.status == 403
    assert "or you have no role here" in main_text(page)
    assert heading(await admin.open(person, "/")) == "Sign in"


async def test_a_login_serves_the_browser_that_began_it(admin: RunningAdmin, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(claims={"roles": ["gateway-operator"]})
    person, thief = admin.stranger(), admin.stranger()
    callback = hostile.callback_url(await leave_for_provider(admin, person))
    page = await thief.open(callback)
    assert (page.status, "provider_not_believed" in page.text) == (400, True)
    assert heading(await admin.open(thief, "/")) == "Sign in"


@pytest.mark.parametrize(
    ("lies", "status"),
    [
        pytest.param(Tampering(claims={"nonce": "x", "roles": ["gateway-operator"]}), 400, id="another login"),
        pytest.param(Tampering(claims={"aud": "x", "roles": ["gateway-operator"]}), 400, id="for another client"),
        pytest.param(Tampering(callback={"code": None}), 400, id="no code"),
        pytest.param(Tampering(callback={"code": None, "error": "server_error"}), 400, id="an error"),
        pytest.param(Tampering(callback={"code": None, "error": "access_denied"}), 403, id="the person said no"),
    ],
)
async def test_what_cannot_be_believed_signs_nobody_in(
    admin: RunningAdmin, hostile: HostileProvider, lies: Tampering, status: int
) -> None:
    hostile.tampering = lies
    person = admin.stranger()
    page = await person.open(hostile.callback_url(await leave_for_provider(admin, person)))
    assert page.status == status, page.text
    assert heading(await admin.open(person, "/")) == "Sign in"


@pytest.mark.sekmet
async def test_without_a_provider_there_is_no_such_page(fhir_server: str) -> None:
    async with run_admin(fhir_server) as plain:
        for path in ("/sign-in/provider", "/signed-in?code=x"):
            page = await plain.open(plain.stranger(), path)
            assert (page.status, heading(page)) == (404, "There is nothing here")
