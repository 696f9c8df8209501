"""Nothing is changed by a request that no operator has sent from a page of ours, and auditors see no way to change."""

from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from starlette.routing import Route

from gateway.admin.build import build_administration
from gateway.admin.door import AdminDoor
from gateway.admin.health import HealthChecks
from gateway.admin.pages.clients import client_changes
from gateway.admin.pages.routes import page_routes
from gateway.admin.pages.users import user_changes
from tests.admin.pages.what_pages_show import document
from tests.admin.running_admin import RunningAdmin
from tests.pages.html_document import parse_page
from tests.smart_server.admin_client import register_client
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]
CLIENT = "kept-app"
_ADDED = {"name": "Added", "username": "added", "password": "a-good-password"}
_REGISTERED = {"name": "Added", "type": "public", "client_id": "added", "redirect_uris": CALLBACK}
# Every page that changes something, with fields that would do it.
CHANGES: dict[str, dict[str, str]] = {
    "/clients/register": _REGISTERED,
    **{change.path: {"id": CLIENT} for change in client_changes.CHANGES},
    "/users/add": _ADDED,
    **{change.path: {"user": "patient", "password": "another-password"} for change in user_changes.CHANGES},
    "/users/session": {"user": "patient", "session": "x"},
    "/grants/end": {"id": "x"},
    "/grants/end-all": {"user": "patient"},
    "/launches/try": {"id": CLIENT, "patient": "pat-a", "launch_uri": LAUNCH_URI},
    "/keys/rotate": {},
    "/keys/replace": {},
    "/configuration/reload": {},
    "/configuration/roll-back": {},
}
READ = (
    "/", "/clients", f"/clients/show?id={CLIENT}", "/clients/show?id=public-app", "/users", "/users/show?user=patient",
    "/grants", "/grants?client=public-app", "/launches", "/keys", "/decisions", "/configuration",
)  # fmt: skip


async def csrf_of(admin: RunningAdmin, person: Person) -> str:
    """The token of the forms of a session."""
    form = (await admin.open(person, "/")).form("/sign-out")
    return form.value("csrf") or ""


async def state_of(admin: RunningAdmin) -> list[object]:
    """What a change would change."""
    smart_server = admin.server.gateway._smart_server
    assert smart_server is not None
    storage = smart_server.dependencies.storage
    return [
        await storage.registrations.list_client_ids(),
        await storage.registrations.get_client(CLIENT),
        await storage.registrations.list_usernames(),
        await storage.user_states.get("patient"),
        await storage.authorizations.find_ids(subject="patient"),
        await storage.launches.list_waiting(),
        [key["kid"] for key in (await admin.server.http.get(f"{admin.server.issuer}/jwks")).json()["keys"]],
    ]


@dataclass(frozen=True)
class Attack:
    """A POST that no operator meant: who sends it, whose form token it carries, and what else a browser would say."""

    sender: str | None
    token_of: str | None
    status: int = 403
    content_type: str = "application/x-www-form-urlencoded"


ATTACKS = {
    "nobody is signed in": Attack(None, None),
    "nobody is signed in, and the token is that of an operator": Attack(None, "operator"),
    "an auditor, from a page of theirs": Attack("auditor", "auditor"),
    "an auditor, with the token of an operator": Attack("auditor", "operator"),
    "an operator, without a token": Attack("operator", None),
    "an operator, with the token of another session of theirs": Attack("operator", "another"),
    "an operator, with the token of an auditor": Attack("operator", "auditor"),
    "an operator, by a page that posts plain text": Attack("operator", "operator", 400, "text/plain"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(admin: RunningAdmin, operator: Person, auditor: Person) -> dict[str, Person]:
    """Who may send something, by what they are. There is an app, and a user with a session and access."""
    await register_client(
        admin.server, CLIENT, name="Kept App", type="confidential-symmetric", launch_uris=[LAUNCH_URI]
    )
    await admin.server.request_tokens(
        admin.server.app(), "launch/patient patient/Patient.rs openid fhirUser", user="patient"
    )
    return {"operator": operator, "auditor": auditor, "another": await admin.sign_in()}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("path", CHANGES)
async def test_a_forged_request_changes_nothing(
    admin: RunningAdmin, people: dict[str, Person], path: str, attack: Attack
) -> None:
    before = await state_of(admin)
    sender = admin.stranger() if attack.sender is None else people[attack.sender]
    token = {} if attack.token_of is None else {"csrf": await csrf_of(admin, people[attack.token_of])}
    content = urlencode(CHANGES[path] | token)
    headers = {"content-type": attack.content_type, "origin": "https://evil.example"}
    response = await sender.client.post(admin.url + path, content=content, headers=headers)
    assert response.status_code == attack.status, response.text
    assert "Nothing was changed." in response.text or attack.status == 400
    assert await state_of(admin) == before


@pytest.mark.parametrize("path", CHANGES)
async def test_a_link_changes_nothing(admin: RunningAdmin, people: dict[str, Person], path: str) -> None:
    """A GET with the fields of the form: another site can have a browser follow it."""
    before = await state_of(admin)
    fields = CHANGES[path] | {"csrf": await csrf_of(admin, people["operator"])}
    await people["operator"].client.get(f"{admin.url}{path}?{urlencode(fields)}")
    assert await state_of(admin) == before


@pytest.mark.parametrize("path", CHANGES)
async def test_an_auditor_does_not_even_see_what_would_be_asked(
    admin: RunningAdmin, people: dict[str, Person], path: str
) -> None:
    response = await people["auditor"].client.get(f"{admin.url}{path}?{urlencode(CHANGES[path])}")
    assert response.status_code == 403
    assert [form.get("action") for form in parse_page(response.content).all("form")] == ["/sign-out"]


@pytest.mark.parametrize("path", READ)
async def test_an_auditor_sees_the_page_and_nothing_that_leads_to_a_change(
    admin: RunningAdmin, people: dict[str, Person], path: str
) -> None:
    page = await admin.open(people["auditor"], path)
    assert page.status == 200
    shown = document(page)
    posts = [form.get("action") for form in shown.all("form") if form.get("method") == "post"]
    assert posts == ["/sign-out"]
    leads = {link.get("href").partition("?")[0] for link in shown.all("a")}
    assert leads & set(CHANGES) == set()


async def test_the_table_has_every_page_that_changes_something(admin: RunningAdmin) -> None:
    smart_server = admin.server.gateway._smart_server
    lasting = admin.server.gateway._lasting.admin
    assert smart_server is not None
    assert lasting is not None
    settings = admin.server.gateway._settings
    checks = HealthChecks(admin.server.gateway._check_fhir_server, smart_server.check_store)
    administration = build_administration(settings, smart_server.dependencies, lasting, checks)
    door = AdminDoor(settings.admin, administration.smart_server.events, administration.sessions)
    posts = {
        route.path
        for route in page_routes(administration, door)
        if isinstance(route, Route) and "POST" in (route.methods or ())
    }
    # Sign-in and sign-out have tests of their own; what is nowhere changes nothing.
    assert posts - {"/sign-in", "/sign-out", "/{path:path}"} == set(CHANGES)
