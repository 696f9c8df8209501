"""Changes and failures during an authorization request: the client, its scopes, the FHIR server."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.servers.ports import free_port
from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.ehr_launcher import post_launch
from tests.smart_server.running_server import LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "openid patient/Observation.rs patient/Condition.rs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lonely() -> AsyncIterator[RunningServer]:
    """A server whose FHIR server is unavailable."""
    async with run_smart_server(f"http://127.0.0.1:{free_port()}/fhir") as running:
        yield running


@pytest.mark.requirement("edge-56", "SC-33")
async def test_a_page_that_showed_more_than_can_be_granted_now_is_shown_again(server: RunningServer) -> None:
    await register_client(server, "shrinking", scopes="openid patient/Observation.rs patient/Condition.rs")
    app = server.app("shrinking")
    person, page = await server.open_consent_page(app, SCOPE)
    await register_again(server, "shrinking", scopes="openid patient/Condition.rs")
    page = await person.agree(page)
    assert "What the app can be given has changed. Please look again." in page.text
    answer = (await app.exchange((await person.agree(page)).parameters["code"])).json()
    assert set(answer["scope"].split()) == {"openid", "launch/patient", "patient/Condition.rs"}


async def register_again(server: RunningServer, client_id: str, **entry: str) -> None:
    """Register the same client with other settings."""
    assert (await admin_request(server, "DELETE", f"/clients/{client_id}")).status_code in {200, 204}
    await replace_client(server, client_id, **entry)


@pytest.mark.requirement("A-3")
@pytest.mark.parametrize("step", ["/login", "/patient", "/consent"])
async def test_a_client_that_is_gone_gets_nothing_at_any_step(server: RunningServer, step: str) -> None:
    client_id = f"leaving-at-{step[1:]}"
    await register_client(server, client_id)
    app, person = server.app(client_id), server.person()
    page = await person.open(app.authorization_url(SCOPE))
    if step != "/login":
        page = await person.sign_in(page)
    if step == "/consent":
        page = await person.choose_patient(page, "pat-a")
    await admin_request(server, "DELETE", f"/clients/{client_id}")
    values = {"username": "doctor", "password": "demo", "patient": "pat-a", "decision": "allow", "use-1": "all"}
    page = await person.submit(page, step, **{name: value for name, value in values.items() if step != "/login" or
                                            name in {"username", "password"}})  # fmt: skip
    assert page.left_for is None
    assert page.status == 400
    assert "client_unknown" in page.text


@pytest.mark.requirement("ER-1")
async def test_an_app_is_told_that_the_fhir_server_is_away(lonely: RunningServer) -> None:
    app, person = lonely.app(), lonely.person()
    page = await person.sign_in(await person.open(app.authorization_url("patient/*.rs")))
    assert page.parameters["error"] == "temporarily_unavailable"
    assert page.parameters["state"] == app.state
    page = await person.open(app.authorization_url("openid"))
    assert page.form("/consent").action, "what needs no records goes on"


async def test_a_launcher_is_told_that_the_fhir_server_is_away(lonely: RunningServer) -> None:
    assert (await post_launch(lonely, context={"patient": "pat-a"})).status_code == 503
    for parameter in ("patient", "encounter"):
        address = f"{lonely.base}/ClientApplication/public-app/$smart-launch?{parameter}=x"
        response = await lonely.http.get(address, auth=("ehr", LAUNCHER_SECRET))
        assert response.status_code == 503
        assert response.json()["issue"][0]["code"] == "transient"


async def test_the_gallery_says_that_the_fhir_server_is_away(lonely: RunningServer) -> None:
    person = lonely.person()
    page = await person.sign_in(await person.open(f"{lonely.issuer}/apps"))
    assert page.status == 503
    assert "not available at the moment" in page.text
