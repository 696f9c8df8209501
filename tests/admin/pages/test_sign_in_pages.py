"""Sign-in and sign-out of administrators, and what stands in the way of everybody else."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.admin.pages.sign_in_pages import landing_page
from tests.admin.pages.what_pages_show import document, heading, main_text, notice
from tests.admin.running_admin import AUDITOR, OPERATOR, PASSWORD, RunningAdmin, run_admin
from tests.smart_server.person_in_browser import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def test_somebody_who_has_not_signed_in_comes_back_to_the_page_that_they_wanted(admin: RunningAdmin) -> None:
    person = admin.stranger()
    page = await admin.open(person, "/clients/show?id=https%3A%2F%2Fsymmetric.example")
    assert urlsplit(page.url).path == "/sign-in"
    page = await person.sign_in(page, OPERATOR, PASSWORD)
    assert parse_qs(urlsplit(page.url).query) == {"id": ["https://symmetric.example"]}
    assert heading(page) == "Symmetric App"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param(OPERATOR, "wrong", id="a wrong password"),
        pytest.param("nobody", PASSWORD, id="a name that nobody has"),
        pytest.param("doctor", PASSWORD, id="a user of the gateway, who administers nothing"),
    ],
)
async def test_who_is_refused_learns_no_more_and_is_not_signed_in(
    admin: RunningAdmin, name: str, password: str
) -> None:
    person = admin.stranger()
    page = await person.sign_in(await admin.open(person, "/sign-in"), name, password)
    assert page.status == 403
    assert "The user name or the password is not right." in page.text
    assert page.form("/sign-in").value("username") == name
    assert "Sign in" in heading(await admin.open(person, "/"))


async def test_a_sign_in_form_of_another_site_signs_nobody_in(admin: RunningAdmin) -> None:
    person = admin.stranger()
    page = await admin.open(person, "/sign-in")
    refused = await person.submit(page, "/sign-in", csrf="another", username=OPERATOR, password=PASSWORD)
    assert refused.status == 403
    strange = await person.submit(page, "/sign-in", csrf="Grüße", username=OPERATOR, password=PASSWORD)
    assert strange.status == 403
    assert "Sign in" in heading(await admin.open(person, "/"))


async def test_an_empty_form_says_what_is_missing(admin: RunningAdmin) -> None:
    person = admin.stranger()
    page = await person.sign_in(await admin.open(person, "/sign-in"), OPERATOR, "")
    assert page.status == 400
    assert "Please enter your user name and your password." in page.text


async def test_the_session_ends_with_the_sign_out(admin: RunningAdmin) -> None:
    person = await admin.sign_in()
    page = await person.submit(await admin.open(person, "/"), "/sign-out")
    assert notice(page) == "You are signed out."
    assert heading(await admin.open(person, "/clients")) == "Sign in"


async def test_nobody_is_signed_out_by_another_site(admin: RunningAdmin) -> None:
    person = await admin.sign_in()
    refused = await person.submit(await admin.open(person, "/"), "/sign-out", csrf="another")
    assert refused.status == 403
    assert heading(await admin.open(person, "/clients")) == "Apps"


async def test_every_page_says_who_is_signed_in_and_as_what(
    admin: RunningAdmin, operator: Person, auditor: Person
) -> None:
    for person, name, role in ((operator, OPERATOR, "Operator"), (auditor, AUDITOR, "Auditor")):
        page = await admin.open(person, "/")
        assert f"{name} {role} Sign out" in " ".join(page.text.split())


async def test_pages_may_be_kept_nowhere_and_framed_nowhere_and_run_nothing(
    admin: RunningAdmin, operator: Person
) -> None:
    headers = (await admin.open(operator, "/")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("form-action 'self'; base-uri 'none'; frame-ancestors 'none'")


async def test_cookies_are_sent_from_no_other_site_and_read_by_no_script(admin: RunningAdmin) -> None:
    person = admin.stranger()
    page = await admin.open(person, "/sign-in")
    form = page.form("/sign-in")
    fields = {"csrf": form.value("csrf") or "", "username": OPERATOR, "password": PASSWORD}
    response = await person.client.post(f"{admin.url}/sign-in", data=fields)
    cookies = [page.headers["set-cookie"], *response.headers.get_list("set-cookie")]
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "SameSite=strict" in cookie for cookie in cookies)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("/grants?client=a%20b", "/grants?client=a%20b", id="a page with its query"),
        pytest.param("/clients/show?id=x", "/clients/show?id=x", id="a page below a section"),
        pytest.param("", "/", id="none"),
        pytest.param("https://evil.example/clients", "/", id="another host"),
        pytest.param("//evil.example/clients", "/", id="another host without a scheme"),
        pytest.param("/\\evil.example", "/", id="a backslash, which browsers take for a slash"),
        pytest.param("clients", "/", id="a relative path"),
        pytest.param("/sign-out", "/", id="no section"),
        pytest.param("/api/clients", "/", id="the API"),
        pytest.param("/clients\r\nset-cookie: a=b", "/", id="a line break"),
        pytest.param("/clients/ü", "/", id="no ASCII"),
        pytest.param("javascript:/clients", "/", id="a script"),
    ],
)
async def test_a_sign_in_leads_to_our_own_pages_alone(address: str, expected: str) -> None:
    assert landing_page(address) == expected


async def test_an_unknown_address_is_a_page_with_a_way_on(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/nothing")
    assert (page.status, heading(page)) == (404, "There is nothing here")
    assert "There is no page at this address." in main_text(page)


async def test_the_pages_look_as_the_other_pages_of_the_organisation(fhir_server: str, tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>')

    def change(settings: dict[str, Any]) -> None:
        branding = {"name": "Town Clinic", "logo": str(logo), "accent_colour": "#1a5fb4"}
        settings["smart_server"]["branding"] = branding

    async with run_admin(fhir_server, change=change) as branded:
        page = await branded.open(branded.stranger(), "/sign-in")
        assert "Town Clinic" in page.title
        assert "--action: #1a5fb4" in page.html
        [picture] = document(page).all("img")
        assert "img-src 'self'" in page.headers["content-security-policy"]
        response = await branded.server.http.get(branded.url + picture.get("src"))
        assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")
        assert (await branded.server.http.get(branded.url + "/branding/other.svg")).status_code == 404


async def test_a_browser_that_asks_for_german_gets_german(admin: RunningAdmin) -> None:
    person = admin.stranger()
    person.client.headers["accept-language"] = "de"
    page = await admin.open(person, "/sign-in")
    assert (page.headers["content-language"], heading(page)) == ("de", "Anmelden")
