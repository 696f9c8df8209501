"""Every admin page in Chromium, in both languages: axe-core finds nothing, nothing is cut, the keyboard suffices."""

from pathlib import Path

import pytest
import pytest_asyncio

from tests.admin.pages.test_client_pages import register_itself
from tests.admin.pages.test_operating_pages import remembering
from tests.admin.pages.what_pages_show import heading, links
from tests.admin.running_admin import OPERATOR, PASSWORD, RunningAdmin
from tests.clients.node import Node
from tests.clients.test_accessibility import assert_nothing_is_wrong, look_at
from tests.smart_server.admin_client import register_client
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import LAUNCH_URI

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEYBOARD = ("clients", "registration refused", "confirmation", "user")
PARTS = 4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(admin: RunningAdmin, operator: Person) -> dict[str, str]:
    """The address of each page, by its name, with something to show on each."""
    server = admin.server
    await register_client(
        server, "secret-app", name="Laboratory Results", type="confidential-symmetric", launch_uris=[LAUNCH_URI],
        purpose="Shows results of the laboratory as they come in.",
    )  # fmt: skip
    for number in range(51):
        await register_client(server, f"ward-{number:02}", name=f"Ward App {number}")
    review = await register_itself(server, "An App That Nobody Has Reviewed Yet and That Has a Long Name")
    with remembering(admin):
        answer = await server.request_tokens(
            server.app(), "launch/patient patient/Observation.rs patient/Patient.r offline_access openid fhirUser"
        )
        refused = await server.app().read("/Condition?patient=pat-a", answer["access_token"])
    await create_launch(server, context={"patient": "pat-b"})
    grants = await admin.open(operator, "/grants?client=public-app")
    [grant] = [link for link in links(grants) if link.startswith("/grants/show?")]
    return {
        "overview": "/", "clients": "/clients", "clients to review": "/clients?only=review",
        "no client": "/clients?search=nothing", "client": "/clients/show?id=secret-app",
        "client to review": f"/clients/show?id={review}", "approval": f"/clients/approve?id={review}",
        "registration": "/clients/register", "confirmation": "/clients/disable?id=secret-app",
        "new secret": "/clients/secret?id=secret-app", "users": "/users", "user": "/users/show?user=doctor",
        "new user": "/users/add", "search of access": "/grants", "grants": "/grants?client=public-app",
        "grant": grant, "end of access": "/grants/end-all?client=public-app", "launches": "/launches",
        "try": "/launches/try?id=secret-app", "keys": "/keys", "leak": "/keys/replace", "decisions": "/decisions",
        "decision": f"/decisions/show?id={refused.headers['x-decision-id']}",
        "no decision": "/decisions/show?id=none", "configuration": "/configuration", "nothing": "/nothing",
    }  # fmt: skip


async def pages_of(admin: RunningAdmin, person: Person, addresses: dict[str, str], language: str) -> dict[str, bytes]:
    """The pages as a browser of this language gets them, and those that only a form leads to."""
    person.client.headers["accept-language"] = language
    pages = {name: (await admin.open(person, path)).html for name, path in addresses.items()}
    registration = await admin.open(person, "/clients/register")
    refused = await person.submit(
        registration, "/clients/register", name="Faulty", redirect_uris="no url", scopes="x/y"
    )
    assert refused.status == 400
    secret = await person.submit(await admin.open(person, addresses["new secret"]), "/clients/secret")
    stranger = admin.stranger()
    stranger.client.headers["accept-language"] = language
    sign_in = await admin.open(stranger, "/sign-in")
    wrong = await stranger.sign_in(sign_in, "nobody", "wrong")
    pages |= {
        "registration refused": refused.html, "secret": secret.html,
        "sign-in": sign_in.html, "sign-in refused": wrong.html,
    }  # fmt: skip
    return {name: page.encode() for name, page in pages.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(admin: RunningAdmin, addresses: dict[str, str]) -> dict[str, dict[str, bytes]]:
    """All pages, by language and name."""
    return {language: await pages_of(admin, await admin.sign_in(), addresses, language) for language in ("en", "de")}


# Some of the pages at a time: axe-core takes seconds for each, and more on a busy machine.
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("language", ["en", "de"])
async def test_every_page_can_be_read_and_used_by_everybody(
    pages: dict[str, dict[str, bytes]], node: Node, chromium: str, tmp_path: Path, language: str, part: int
) -> None:
    looked_at = dict(list(pages[language].items())[part::PARTS])
    keyboard = [name for name in KEYBOARD if name in looked_at]
    found = await look_at(node, chromium, tmp_path, looked_at, axe=list(looked_at), keyboard=keyboard)
    assert set(found) == set(looked_at)
    assert_nothing_is_wrong(found)
    walks = {name: found[name]["keyboard"] for name in keyboard}
    assert all(walk["steps"] >= 10 for walk in walks.values()), walks
    assert {name: (walk["outOfOrder"], walk["unseen"]) for name, walk in walks.items()} == {
        name: ([], []) for name in keyboard
    }


async def test_the_keyboard_is_tried_on_pages_that_there_are(pages: dict[str, dict[str, bytes]]) -> None:
    assert set(KEYBOARD) <= set(pages["en"])
    assert pages["en"].keys() == pages["de"].keys()


async def test_an_operator_without_a_mouse_and_without_scripts_ends_the_access_of_an_app(
    admin: RunningAdmin, addresses: dict[str, str], node: Node, chromium: str
) -> None:
    await register_client(admin.server, "typed", name="Typed App")
    asked = {
        "origin": "http://127.0.0.1:0", "chromium": chromium, "admin": admin.url, "name": OPERATOR,
        "password": PASSWORD, "app": "Typed App",
    }  # fmt: skip
    told = await node.run("browser/administration.mjs", asked, seconds=120)
    assert told["complaints"] == []
    assert told["headings"] == ["Sign in", "Overview", "Apps", "Typed App", "Disable Typed App?", "Typed App Disabled"]
    assert told["notice"] == "The app was disabled, and all of its access has ended."
    assert told["tooWide"] == 0
    assert (told["afterReload"], told["afterSignOut"]) == ("", "You are signed out.")
    assert "Disabled" in heading(await admin.open(await admin.sign_in(), "/clients/show?id=typed"))
