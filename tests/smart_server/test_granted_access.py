"""What the page of granted access says of each app: until when, when it was renewed, and how to end all of it."""

import re

import pytest

from tests.smart_server.running_server import RunningServer
from tests.smart_server.signed_in_user import add_user

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

TIME = r"\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC"


async def test_it_says_until_when_and_when_it_was_renewed_and_ends_all(server: RunningServer) -> None:
    await add_user(server, "keeper")
    person, tokens = server.person(), []
    for client_id, scope in (
        ("public-app", "openid fhirUser profile offline_access patient/Observation.rs"),
        ("other-app", "launch/patient patient/Patient.rs"),
        ("public-app", "openid patient/Condition.rs"),
    ):
        app = server.app(client_id)
        _, page = await server.open_consent_page(app, scope, user="keeper", person=person)
        tokens.append((await app.exchange((await person.agree(page)).parameters["code"])).json())
    page = await person.open(f"{server.issuer}/manage")
    assert len(re.findall(f"Since {TIME}", page.text)) == 3
    assert len(re.findall(f"Until {TIME}", page.text)) == 3
    assert len(re.findall(f"Until {TIME}, and longer while the app is used", page.text)) == 1
    assert len(re.findall(f"Last renewed by the app {TIME}", page.text)) == 1
    assert page.text.count("Know which record on this server is your own.") == 1
    assert "patient/Observation.rs" in page.text
    names = re.findall(r"<h2><bdi>([^<]*)</bdi></h2>", page.html)
    assert names in (sorted(names), sorted(names, reverse=True)), "those of one app stand together"
    ended = await person.open(
        f"{server.issuer}/manage", data=[("csrf", page.form("/manage").value("csrf") or ""), ("every", "yes")]
    )
    assert "All access has ended." in ended.text
    assert "No app has access." in ended.text
    for token in tokens:
        assert (await server.app().read("/Observation", token["access_token"])).status_code == 401
