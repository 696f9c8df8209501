"""The pages of apps: found, reviewed, registered, tried, changed and removed."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.admin.pages.what_pages_show import confirm, document, heading, links, main_text, notice, problem_of
from tests.admin.running_admin import RunningAdmin
from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.portal_user import read_patient_records
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]
SCOPE = "launch/patient patient/Observation.rs offline_access openid fhirUser"


async def register_itself(server: RunningServer, name: str) -> str:
    """An app registers itself; its client_id."""
    entry = {"client_name": name, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    response = await server.http.post(f"{server.issuer}/register", json=entry)
    assert response.status_code == 201, response.text
    return str(response.json()["client_id"])


async def entry_of(admin: RunningAdmin, client_id: str) -> dict[str, object]:
    """A client as the API shows it; empty for none."""
    response = await admin_request(admin.server, "GET", f"/clients/{client_id}")
    return dict(response.json()) if response.status_code == 200 else {}


def rows(page: Page) -> list[str]:
    """The names in the table of a page, with their badges."""
    heads = [element for element in document(page).all("th") if element.get("scope") == "row"]
    return [" ".join(head.text.split()) for head in heads]


async def test_the_list_finds_apps_by_name_and_client_id_and_shows_where_they_are_from(
    admin: RunningAdmin, operator: Person
) -> None:
    await register_client(admin.server, "found-by-its-id", name="Ward List")
    assert rows(await admin.open(operator, "/clients?search=WARD")) == ["Ward List"]
    page = await admin.open(operator, "/clients?search=symmetric.example")
    assert "Symmetric App client_id https://symmetric.example" in main_text(page)
    assert "By a secret Registered In the configuration" in main_text(page)
    assert "No app fits." in main_text(await admin.open(operator, "/clients?search=no-such-app"))


async def test_long_lists_are_read_page_by_page(admin: RunningAdmin, operator: Person) -> None:
    for number in range(60):
        await register_client(admin.server, f"page-{number:02}", name=f"Paged {number:02}")
    # `path` means nothing here, and is a parameter of our own functions.
    first = await admin.open(operator, "/clients?search=paged&path=x")
    names = rows(first)
    assert len(names) == 50
    [following] = [link.get("href") for link in document(first).all("a") if link.text == "Next page"]
    second = await admin.open(operator, following)
    assert [*names, *rows(second)] == [f"Paged {number:02}" for number in range(60)]
    [back] = [link.get("href") for link in document(second).all("a") if link.text == "First page"]
    assert parse_qs(urlsplit(back).query) == {"search": ["paged"], "path": ["x"]}


async def test_an_app_that_registered_itself_is_reviewed_and_approved(admin: RunningAdmin, operator: Person) -> None:
    client_id = await register_itself(admin.server, "Approved App")
    overview = await admin.open(operator, "/")
    assert "wait for a review" in main_text(overview) or "waits for a review" in main_text(overview)
    assert "Approved App To review" in rows(await admin.open(operator, "/clients?only=review"))
    page = await admin.open(operator, f"/clients/show?id={client_id}")
    assert "nobody here has reviewed it" in main_text(page)
    assert f"/clients/approve?id={client_id}" in links(page)
    page = await confirm(admin, operator, f"/clients/approve?id={client_id}")
    assert notice(page) == "The app was approved. Users are no longer warned of it."
    assert heading(page) == "Approved App"
    assert "Approved App To review" not in rows(await admin.open(operator, "/clients?only=review"))
    _, consent = await admin.server.open_consent_page(
        admin.server.app(client_id, redirect_uri=CALLBACK), SCOPE, user="patient"
    )
    assert "nobody here has reviewed it" not in consent.text


async def test_what_is_approved_is_what_the_page_showed(admin: RunningAdmin, operator: Person) -> None:
    client_id = await register_itself(admin.server, "Harmless App")
    shown = await admin.open(operator, f"/clients/approve?id={client_id}")
    await admin_request(admin.server, "PATCH", f"/clients/{client_id}", {"redirect_uris": ["https://evil.example/x"]})
    refused = await operator.submit(shown, "/clients/approve")
    assert (refused.status, heading(refused)) == (409, "This is not possible now")
    assert "has changed since the page was shown" in main_text(refused)
    assert "Harmless App To review" in rows(await admin.open(operator, "/clients?only=review"))


async def test_an_app_that_is_refused_is_gone_with_its_access(admin: RunningAdmin, operator: Person) -> None:
    client_id = await register_itself(admin.server, "Refused App")
    answer = await admin.server.request_tokens(
        admin.server.app(client_id, redirect_uri=CALLBACK), SCOPE, user="patient"
    )
    page = await admin.open(operator, f"/clients/refuse?id={client_id}")
    assert "All access that users have granted to it ends at once" in main_text(page)
    page = await operator.submit(page, "/clients/refuse")
    assert notice(page) == "The app was removed, and all of its access has ended."
    assert (await admin.server.app().read("/Patient/pat-a", answer["access_token"])).status_code == 401
    assert (await admin.open(operator, f"/clients/show?id={client_id}")).status == 404


async def test_an_app_is_disabled_and_enabled(admin: RunningAdmin, operator: Person) -> None:
    await register_client(admin.server, "switched", name="Switched App", launch_uris=[LAUNCH_URI])
    page = await confirm(admin, operator, "/clients/disable?id=switched")
    assert notice(page) == "The app was disabled, and all of its access has ended."
    assert "Disabled" in heading(page)
    assert "Switched App Disabled" in rows(await admin.open(operator, "/clients?only=disabled"))
    assert (await admin.open(operator, "/launches/try?id=switched")).status == 404
    page = await confirm(admin, operator, "/clients/enable?id=switched")
    assert notice(page) == "The app was enabled."
    assert heading(page) == "Switched App"


async def test_what_has_been_done_is_said_once(admin: RunningAdmin, operator: Person) -> None:
    await register_client(admin.server, "said-once", name="Said Once")
    page = await confirm(admin, operator, "/clients/disable?id=said-once")
    assert notice(page)
    assert notice(await admin.open(operator, "/clients/show?id=said-once")) == ""


async def test_a_new_secret_is_shown_once_and_a_second_post_makes_no_other(
    admin: RunningAdmin, operator: Person
) -> None:
    made = await register_client(admin.server, "secret-app", name="Secret App", type="confidential-symmetric")
    asked = await admin.open(operator, "/clients/secret?id=secret-app")
    page = await operator.submit(asked, "/clients/secret")
    [secret] = [element.text for element in document(page).all("code") if element.ancestor("dl") is None]
    assert len(secret) >= 32
    assert secret != made["client_secret"]
    code = await admin.server.request_code(admin.server.app("secret-app", secret=secret), SCOPE, user="patient")
    app = admin.server.app("secret-app", secret=secret)
    assert code
    assert (await app.post("/introspect", {"token": "x"})).status_code in {200, 403}
    again = await operator.submit(asked, "/clients/secret")
    assert again.status == 409
    assert secret not in (await admin.open(operator, "/clients/show?id=secret-app")).html
    old = admin.server.app("secret-app", secret=str(made["client_secret"]))
    assert (await old.post("/introspect", {"token": "x"})).status_code == 401


async def test_an_app_of_the_configuration_is_shown_whole_and_changed_there(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/clients/show?id=public-app")
    assert CALLBACK in main_text(page)
    assert "This app is in the configuration, and is changed there." in main_text(page)
    assert not [link for link in links(page) if link.startswith("/clients/") and "show" not in link]
    assert (await admin.open(operator, "/clients/disable?id=public-app")).status == 409


async def test_an_operator_registers_an_app_and_sees_it(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/clients/register")
    page = await operator.submit(
        page, "/clients/register", name="Heartline", type="public", client_id="heartline",
        redirect_uris="https://heart.example/cb\r\nhttps://heart.example/other\r\n", scopes="patient/*.rs openid",
        purpose="Shows blood pressure.", no_refresh="yes",
    )  # fmt: skip
    assert notice(page) == "The app was registered."
    assert heading(page) == "Heartline"
    entry = await entry_of(admin, "heartline")
    assert entry["redirect_uris"] == ["https://heart.example/cb", "https://heart.example/other"]
    assert (entry["scopes"], entry["may_refresh"], entry["purpose"]) == (
        "patient/*.rs openid", False, "Shows blood pressure.",
    )  # fmt: skip


async def test_an_app_with_a_secret_gets_an_id_and_shows_the_secret_and_is_registered_once(
    admin: RunningAdmin, operator: Person
) -> None:
    empty = await admin.open(operator, "/clients/register")
    fields = {"name": "Server App", "type": "confidential-symmetric", "redirect_uris": CALLBACK}
    page = await operator.submit(empty, "/clients/register", **fields)
    assert heading(page) == "The new secret of Server App"
    again = await operator.submit(empty, "/clients/register", **fields)
    assert again.status == 409
    assert rows(await admin.open(operator, "/clients?search=server app")) == ["Server App"]


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        pytest.param(
            {"redirect_uris": "not a url"},
            "redirect_uris",
            "Line 1 holds 'not'",
            id="an address that is none",
        ),
        pytest.param({"redirect_uris": ""}, "redirect_uris", "must hold at least one address", id="no address"),
        pytest.param({"name": ""}, "name", "required", id="no name"),
        pytest.param({"scopes": "patient/Nothing.rs"}, "scopes", "cannot be read", id="a scope that is none"),
        pytest.param({"jwks": "{"}, "jwks", "must be a JWK Set in JSON", id="keys that are no JSON"),
        pytest.param({"backend": "yes"}, "backend", "may hold client_credentials only", id="a service without a key"),
        pytest.param({"policy": "javascript:alert(1)"}, "policy", "", id="a page that is a script"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_filled_in_stays(
    admin: RunningAdmin, operator: Person, fields: dict[str, str], field: str, problem: str
) -> None:
    filled = {"name": "Faulty", "type": "public", "client_id": "faulty", "redirect_uris": CALLBACK} | fields
    page = await operator.submit(await admin.open(operator, "/clients/register"), "/clients/register", **filled)
    assert page.status == 400
    assert problem in problem_of(page, field)
    assert document(page).by_id(field).get("aria-invalid") == "true"
    assert document(page).by_id("client_id").get("value") == "faulty"
    assert await entry_of(admin, "faulty") == {}


async def test_keys_that_no_parser_can_follow_are_refused_beside_their_field(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await operator.submit(
        await admin.open(operator, "/clients/register"), "/clients/register",
        name="Deep", type="confidential-asymmetric", redirect_uris=CALLBACK, jwks="[" * 20_000,
    )  # fmt: skip
    assert (page.status, problem_of(page, "jwks")) == (400, "must be a JWK Set in JSON")


async def test_what_is_wrong_with_the_entry_as_a_whole_stands_above_the_form(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await operator.submit(
        await admin.open(operator, "/clients/register"), "/clients/register",
        name="Keyless", type="confidential-asymmetric", redirect_uris=CALLBACK,
    )  # fmt: skip
    assert page.status == 400
    assert "needs exactly one of jwks and jwks_uri" in main_text(page)


async def test_a_launch_to_try_an_app_opens_it_and_the_app_gets_what_its_user_grants(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/launches/try?id=public-app")
    page = await operator.submit(page, "/launches/try", patient="pat-b", launch_uri=LAUNCH_URI)
    assert heading(page) == "The launch is ready"
    [location] = [link for link in links(page) if link.startswith(LAUNCH_URI)]
    query = parse_qs(urlsplit(location).query)
    assert query["iss"] == [admin.server.base]
    waiting = await admin.open(operator, "/launches")
    assert "public-app Started by administrator Patient pat-b" in main_text(waiting)
    answer = await read_patient_records(admin.server, query["launch"][0])
    assert answer["patient"] == "pat-b"
    assert "No launch waits for its app." in main_text(await admin.open(operator, "/launches"))


async def test_a_launch_with_a_patient_who_does_not_exist_is_refused_beside_the_form(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/launches/try?id=public-app")
    page = await operator.submit(page, "/launches/try", patient="nobody", launch_uri=LAUNCH_URI)
    assert page.status == 400
    assert "The patient of the launch is not on the FHIR server" in main_text(page)
    assert document(page).by_id("patient").get("value") == "nobody"


async def test_an_app_without_a_launch_address_says_so(admin: RunningAdmin, operator: Person) -> None:
    await register_client(admin.server, "unlaunched", name="Unlaunched")
    assert not [link for link in links(await admin.open(operator, "/clients/show?id=unlaunched")) if "/try" in link]
    page = await admin.open(operator, "/launches/try?" + urlencode({"id": "unlaunched"}))
    assert (page.status, "This app has no launch address." in main_text(page)) == (409, True)
