"""The pages of users: found, added, their sessions, their passwords, and the end of what they signed in to."""

import pytest

from tests.admin.pages.what_pages_show import confirm, document, heading, links, main_text, notice, problem_of
from tests.admin.running_admin import RunningAdmin
from tests.smart_server.person_in_browser import Person
from tests.smart_server.portal_user import sign_in_to_portal

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]
SCOPE = "launch/patient patient/Observation.rs offline_access openid fhirUser"


async def add_user(admin: RunningAdmin, operator: Person, username: str, **fields: str) -> None:
    """Add a user by the form."""
    page = await admin.open(operator, "/users/add")
    values = {"name": username.title(), "username": username, "password": "a-good-password", **fields}
    page = await operator.submit(page, "/users/add", **values)
    assert notice(page) == "The user was added.", main_text(page)


async def is_signed_in(admin: RunningAdmin, person: Person) -> bool:
    """Whether the portal of the gateway knows the browser."""
    return "Apps with access" in (await person.open(f"{admin.server.issuer}/manage")).title


async def test_the_list_finds_users_by_name(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/users?search=dora")
    assert "Dr Dora Demo User name doctor Own record Practitioner/practitioner-1" in main_text(page)
    assert "No user of this name." in main_text(await admin.open(operator, "/users?search=nobody"))


async def test_an_operator_adds_a_user_who_can_sign_in(admin: RunningAdmin, operator: Person) -> None:
    await add_user(admin, operator, "frida", fhir_user="Practitioner/practitioner-1", roles="ward lab")
    page = await admin.open(operator, "/users/show?user=frida")
    assert heading(page) == "Frida"
    assert "Roles ward lab From Added here" in main_text(page)
    person = admin.server.person()
    await person.sign_in(await person.open(f"{admin.server.issuer}/apps"), "frida", "a-good-password")
    assert await is_signed_in(admin, person)


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        pytest.param({"password": ""}, "password", "must not be empty", id="no password"),
        pytest.param({"username": ""}, "username", "required", id="no user name"),
        pytest.param({"fhir_user": "nothing"}, "fhir_user", "must be", id="no record"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_no_password_comes_back(
    admin: RunningAdmin, operator: Person, fields: dict[str, str], field: str, problem: str
) -> None:
    values = {"name": "Faulty", "username": "faulty", "password": "a-good-password"} | fields
    page = await operator.submit(await admin.open(operator, "/users/add"), "/users/add", **values)
    assert page.status == 400
    assert problem in problem_of(page, field)
    assert document(page).by_id("name").get("value") == "Faulty"
    assert "a-good-password" not in page.html


async def test_a_name_that_is_taken_replaces_nobody(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/users/add")
    page = await operator.submit(page, "/users/add", name="X", username="doctor", password="a-good-password")
    assert (page.status, "The configuration has a user of this name." in main_text(page)) == (409, True)


async def test_sessions_are_listed_and_ended_one_by_one(admin: RunningAdmin, operator: Person) -> None:
    first, second = await sign_in_to_portal(admin.server, "nurse"), await sign_in_to_portal(admin.server, "nurse")
    page = await admin.open(operator, "/users/show?user=nurse")
    ends = [link for link in links(page) if link.startswith("/users/session?")]
    assert len(ends) == 2
    page = await confirm(admin, operator, ends[0])
    assert notice(page) == "The session has ended."
    assert len([link for link in links(page) if link.startswith("/users/session?")]) == 1
    assert [await is_signed_in(admin, person) for person in (first, second)].count(True) == 1
    gone = await admin.open(operator, ends[0])
    assert gone.status == 409


async def test_the_end_of_a_user_ends_sessions_and_access_and_says_so_before(
    admin: RunningAdmin, operator: Person
) -> None:
    person = await sign_in_to_portal(admin.server, "patient")
    answer = await admin.server.request_tokens(admin.server.app(), SCOPE, user="patient")
    page = await admin.open(operator, "/users/end?user=patient")
    assert "All access that they have granted to apps ends at once" in main_text(page)
    page = await operator.submit(page, "/users/end")
    assert notice(page) == "All sessions and access of the user have ended."
    assert not await is_signed_in(admin, person)
    assert (await admin.server.app().read("/Patient/pat-a", answer["access_token"])).status_code == 401


async def test_a_user_is_disabled_and_enabled(admin: RunningAdmin, operator: Person) -> None:
    person = await sign_in_to_portal(admin.server, "clerk")
    page = await confirm(admin, operator, "/users/disable?user=clerk")
    assert notice(page).startswith("The user was disabled")
    assert "Disabled" in heading(page)
    assert not await is_signed_in(admin, person)
    page = await confirm(admin, operator, "/users/enable?user=clerk")
    assert notice(page) == "The user was enabled, and may sign in."
    assert await is_signed_in(admin, await sign_in_to_portal(admin.server, "clerk"))


async def test_a_password_is_set_and_the_old_one_is_void(admin: RunningAdmin, operator: Person) -> None:
    await add_user(admin, operator, "gerda")
    page = await admin.open(operator, "/users/password?user=gerda")
    empty = await operator.submit(page, "/users/password", password="")
    assert (empty.status, problem_of(empty, "password")) == (400, "must not be empty")
    page = await operator.submit(page, "/users/password", password="another-password")
    assert notice(page).startswith("The password was set")
    for password, is_right in (("a-good-password", False), ("another-password", True)):
        person = admin.server.person()
        await person.sign_in(await person.open(f"{admin.server.issuer}/apps"), "gerda", password)
        assert await is_signed_in(admin, person) is is_right


async def test_a_user_is_removed(admin: RunningAdmin, operator: Person) -> None:
    await add_user(admin, operator, "hans")
    page = await confirm(admin, operator, "/users/remove?user=hans")
    assert notice(page).startswith("The user was removed")
    assert (await admin.open(operator, "/users/show?user=hans")).status == 404


async def test_of_a_user_of_the_configuration_the_password_is_changed_there(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/users/show?user=doctor")
    assert "This user is in the configuration." in main_text(page)
    offered = {link.partition("?")[0] for link in links(page) if link.startswith("/users/")}
    assert offered - {"/users/session"} == {"/users/end", "/users/disable"}
    assert (await admin.open(operator, "/users/password?user=doctor")).status == 409


async def test_a_user_of_a_launcher_is_found_by_the_name_there(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/users/show?user=somebody&provider=ehr")
    assert heading(page) == "somebody"
    assert "Where they sign in ehr" in main_text(page)
    page = await confirm(admin, operator, "/users/disable?user=somebody&provider=ehr")
    assert "Disabled" in heading(page)
    assert "somebody of ehr Disabled" in main_text(await admin.open(operator, "/users?search=somebody"))
