"""The OpenID Connect parameters `prompt`, `max_age` and `login_hint`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.smart_server.consent_pages import (
    remember_consent,
    restrict_clients_and_users,
)
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with clients and users that have fewer rights than others."""
    async with run_smart_server(fhir_server, change=restrict_clients_and_users) as running:
        yield running


@pytest.fixture(scope="module")
def later(server: RunningServer) -> AdjustableClock:
    """The clock of the server."""
    return AdjustableClock(server)


@pytest.mark.requirement("A-21")
async def test_prompt_none_asks_nobody_anything(server: RunningServer) -> None:
    app, person = server.app("other-app"), server.person()
    page = await person.open(app.authorization_url("openid", prompt="none"))
    assert page.parameters["error"] == "login_required"
    assert page.parameters["state"] == app.state
    await server.open_consent_page(server.app(), "openid", person=person, user="nurse")
    page = await person.open(app.authorization_url("user/Patient.rs", prompt="none"))
    assert page.parameters["error"] == "consent_required"
    page = await person.open(app.authorization_url("patient/Patient.rs", prompt="none"))
    assert page.parameters["error"] == "interaction_required"
    _, page = await server.open_consent_page(app, "user/Patient.rs", person=person)
    await person.agree(page, remember="yes")
    page = await person.open(app.authorization_url("user/Patient.rs", prompt="none"))
    assert "code" in page.parameters


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
async def test_prompt_login_asks_for_the_password_again(server: RunningServer, prompt: str) -> None:
    app, person = server.app(), server.person()
    await server.open_consent_page(app, "openid", person=person)
    page = await person.open(app.authorization_url("openid", prompt=prompt))
    assert page.form("/login").action
    page = await person.sign_in(await person.open(page.url), "nurse")
    assert "Nina Nurse" in page.text
    assert "code" in (await person.agree(page)).parameters


@pytest.mark.requirement("A-21")
async def test_prompt_consent_asks_again(server: RunningServer) -> None:
    person = server.person()
    await remember_consent(server, "user/Condition.rs", person=person)
    _, page = await server.open_consent_page(server.app(), "user/Condition.rs", person=person, prompt="consent")
    assert page.form("/consent").action


@pytest.mark.requirement("A-21")
async def test_max_age_asks_for_a_login_that_is_no_older(server: RunningServer, later: AdjustableClock) -> None:
    app, person = server.app(), server.person()
    await server.open_consent_page(app, "openid", person=person)
    later.advance(100)
    page = await person.open(app.authorization_url("openid", max_age="1000"))
    assert page.form("/consent").action
    page = await person.open(app.authorization_url("openid", max_age="99"))
    assert page.form("/login").action
    page = await person.open(app.authorization_url("openid", max_age="0"))
    page = await person.sign_in(page)
    assert page.form("/consent").action


@pytest.mark.requirement("A-21")
async def test_login_hint_fills_in_the_name_and_is_only_text(server: RunningServer) -> None:
    page = await server.person().open(server.app().authorization_url("openid", login_hint='nurse"><script>'))
    assert page.form("/login").value("username") == 'nurse"><script>'
    assert "<script>" not in page.html
