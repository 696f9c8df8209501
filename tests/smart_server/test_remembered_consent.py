"""Consent that is remembered, and apps that need no consent."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.smart_server.admin_client import register_client
from tests.smart_server.consent_pages import (
    LABORATORY,
    NATIVE,
    remember_consent,
    restrict_clients_and_users,
    row_with_part,
)
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with clients and users that have fewer rights than others."""
    async with run_smart_server(fhir_server, change=restrict_clients_and_users) as running:
        yield running


@pytest.mark.requirement("edge-26")
@pytest.mark.parametrize(
    ("scope", "needs_consent"),
    [
        ("launch/patient patient/Observation.rs openid", False),
        ("launch/patient patient/Observation.r", False),
        (f"launch/patient patient/Observation.rs?category={LABORATORY}", False),
        ("launch/patient patient/Observation.rs openid offline_access", True),
        ("launch/patient patient/*.rs", True),
        ("launch/patient patient/Condition.rs", True),
        ("launch/patient patient/Observation.rs user/Observation.rs", True),
        ("launch/patient patient/Observation.rs openid fhirUser", True),
    ],
)
async def test_remembered_consent_reaches_no_further_than_it_went(
    server: RunningServer, scope: str, needs_consent: bool
) -> None:
    person = server.person()
    await remember_consent(server, "launch/patient patient/Observation.rs openid", person=person)
    app = server.app()
    _, page = await server.open_consent_page(app, scope, person=person)
    assert (page.left_for is None) is needs_consent
    if not needs_consent:
        answer = (await app.exchange(page.parameters["code"])).json()
        assert set(answer["scope"].split()) == set(scope.split())


@pytest.mark.requirement("edge-26")
async def test_remembered_consent_is_of_one_user_one_patient_and_one_app(server: RunningServer) -> None:
    person = server.person()
    await remember_consent(server, "patient/Observation.rs", person=person)
    _, page = await server.open_consent_page(server.app(), "patient/Observation.rs", person=person, patient="pat-b")
    assert page.form("/consent").action, "another patient"
    _, page = await server.open_consent_page(server.app("other-app"), "patient/Observation.rs", person=person)
    assert page.form("/consent").action, "another app"
    _, page = await server.open_consent_page(server.app(), "patient/Observation.rs", user="doctor")
    assert page.form("/consent").action, "another user"


@pytest.mark.requirement("edge-26")
async def test_offline_access_is_asked_for_each_time(server: RunningServer) -> None:
    person, scope = server.person(), "patient/Observation.rs offline_access"
    await remember_consent(server, scope, person=person)
    _, page = await server.open_consent_page(server.app(), scope, person=person)
    assert page.form("/consent").action


@pytest.mark.requirement("edge-26")
async def test_a_no_is_not_remembered_as_a_yes(server: RunningServer) -> None:
    person, app, scope = server.person(), server.app(), "patient/Observation.rs patient/Condition.rs"
    _, page = await server.open_consent_page(app, scope, person=person, user="nurse", patient="pat-3")
    parts = row_with_part(page, f"patient/Observation.rs?category={LABORATORY}")
    uses: dict[str, str | list[str]] = {name: "none" for name in page.form("/consent").choices if "use-" in name}
    page = await person.agree(page, remember="yes", **{**uses, f"use-{parts}": "all"})
    assert "code" in page.parameters
    _, page = await server.open_consent_page(app, scope, person=person, patient="pat-3")
    assert page.form("/consent").action, "the Conditions were not agreed to"
    _, page = await server.open_consent_page(app, "patient/Observation.rs", person=person, patient="pat-3")
    assert "code" in page.parameters


async def test_an_app_that_any_other_can_pass_for_is_asked_about_each_time(server: RunningServer) -> None:
    """RFC 8252 8.6: any app that registers the private-use scheme on a device gets the code."""
    person = server.person()
    await remember_consent(server, "patient/Observation.rs", person=person, client_id="native-app", redirect_uri=NATIVE)
    app = server.app("native-app", redirect_uri=NATIVE)
    _, page = await server.open_consent_page(app, "patient/Observation.rs", person=person)
    assert page.form("/consent").action


async def test_ending_the_access_forgets_the_consent(server: RunningServer) -> None:
    person = server.person()
    app = server.app("other-app")
    _, page = await server.open_consent_page(
        app, "patient/Observation.rs", person=person, user="nurse", patient="pat-4"
    )
    page = await person.agree(page, remember="yes")
    await app.exchange(page.parameters["code"])
    manage = await person.open(f"{server.issuer}/manage")
    form = next(form for form in manage.forms if form.value("grant") is not None)
    await person.open(form.action, data=form.fields)
    _, page = await server.open_consent_page(app, "patient/Observation.rs", person=person, patient="pat-4")
    assert page.form("/consent").action


async def test_a_house_app_asks_nobody(server: RunningServer) -> None:
    person, page = await server.open_consent_page(server.app("house-app"), "patient/Observation.rs")
    assert "code" in page.parameters
    _, page = await server.open_consent_page(server.app("house-app"), "openid", person=person, prompt="consent")
    assert page.form("/consent").action, "unless the app itself wants it"


async def test_a_house_app_that_any_app_on_a_device_can_pass_for_asks_all_the_same(server: RunningServer) -> None:
    """RFC 8252 8.6: a private-use scheme does not identify the app."""
    uri = "com.example.house:/callback"
    await register_client(server, "device-app", redirect_uris=[uri], skip_consent=True)
    _, page = await server.open_consent_page(server.app("device-app", redirect_uri=uri), "patient/Observation.rs")
    assert page.left_for is None
    assert page.form("/consent").action
