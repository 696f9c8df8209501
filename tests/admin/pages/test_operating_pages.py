"""The pages of how the gateway does: the overview, the keys, and decisions with their explanation."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.line_writer import LineWriter
from tests.admin.pages.what_pages_show import document, heading, links, main_text, notice
from tests.admin.running_admin import RunningAdmin
from tests.smart_server.person_in_browser import Person
from tests.smart_server.running_server import smart_settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@contextlib.contextmanager
def remembering(admin: RunningAdmin) -> Iterator[None]:
    """Whatever is decided meanwhile is remembered, as its audit line."""
    first = len(admin.server.telemetry.records)
    yield
    log = AuditLog(LineWriter(os.open(os.devnull, os.O_WRONLY), close_descriptor=True), recent=admin.recent)
    try:
        for record in admin.server.telemetry.records[first:]:
            log.add_request(record)
    finally:
        log.close()


async def test_the_overview_says_how_the_parts_do_and_what_there_is(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/")
    text = main_text(page)
    assert "FHIR server Works" in text
    assert "Store Works" in text
    assert f"Issuer {admin.server.issuer}" in text
    counted = {
        link.get("href"): link.text.split()[0] for link in document(page).all("a") if "count" in link.get("class")
    }
    assert counted["/clients"] == str(len(smart_settings()["clients"]))
    assert set(counted) == {"/clients", "/users", "/launches"}


async def test_the_next_key_is_made_once_for_each_page_that_asked(admin: RunningAdmin, operator: Person) -> None:
    before = main_text(await admin.open(operator, "/keys"))
    assert before.count("State Signs Signs from") == 1
    asked = await admin.open(operator, "/keys/rotate")
    assert "Nothing ends, and nobody notices." in main_text(asked)
    page = await operator.submit(asked, "/keys/rotate")
    assert notice(page) == "A new key was made. It is published now, and signs in an hour."
    assert "Only published" in main_text(page)
    assert (await operator.submit(asked, "/keys/rotate")).status == 409
    keys = (await admin.server.http.get(f"{admin.server.issuer}/jwks")).json()["keys"]
    assert len(keys) == 2


async def test_after_a_leak_one_key_is_left_and_the_page_says_what_ends(admin: RunningAdmin, operator: Person) -> None:
    asked = await admin.open(operator, "/keys/replace")
    assert "All other keys are void" in main_text(asked)
    page = await operator.submit(asked, "/keys/replace")
    assert notice(page) == "A new key signs from now on. All others are void."
    assert len((await admin.server.http.get(f"{admin.server.issuer}/jwks")).json()["keys"]) == 1


async def test_a_refused_decision_is_looked_up_by_its_id_and_explained(admin: RunningAdmin, operator: Person) -> None:
    with remembering(admin):
        answer = await admin.server.request_tokens(
            admin.server.app(), "launch/patient patient/Observation.rs", user="patient"
        )
        refused = await admin.server.app().read("/Condition?patient=pat-a", answer["access_token"])
        assert refused.status_code == 403
        await admin.server.app().read("/Observation", answer["access_token"])
    page = await operator.open(f"{admin.url}/decisions/show?id=%20{refused.headers['x-decision-id']}%20")
    text = main_text(page)
    assert heading(page) == f"Decision {refused.headers['x-decision-id']} Refused"
    assert "Outcome refused, 403 scope_insufficient" in text
    assert "What would help" in text
    assert "patient/Condition.s" in text or "patient/Condition.rs" in text
    english = [element for element in document(page).elements if element.get("lang") == "en" and element.tag != "html"]
    assert english, "the explanation is in English, also on a page in another language"


async def test_the_last_decisions_are_listed_and_the_refused_ones_found(admin: RunningAdmin, operator: Person) -> None:
    app = admin.server.app("other-app")
    with remembering(admin):
        answer = await admin.server.request_tokens(app, "launch/patient patient/Observation.rs", user="patient")
        for path in ("/Condition?patient=pat-a", "/Observation"):
            await app.read(path, answer["access_token"])
    page = await admin.open(operator, "/decisions?only=refused&client=other-app")
    shown = [link for link in links(page) if link.startswith("/decisions/show?")]
    assert len(shown) == 1
    assert heading(await admin.open(operator, shown[0])).endswith("Refused")
    every = [link for link in links(await admin.open(operator, "/decisions")) if link.startswith("/decisions/show?")]
    assert len(every) > 1
    assert "No such decision is remembered." in main_text(await admin.open(operator, "/decisions?client=none"))


async def test_an_id_that_nobody_remembers_keeps_the_form_and_says_where_to_look(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/decisions/show?id=no-such-id")
    assert page.status == 404
    assert "smart-gateway explain --decision" in main_text(page)
    assert document(page).by_id("id").get("value") == "no-such-id"


async def test_a_gateway_whose_configuration_is_fixed_says_so(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/configuration")
    assert "cannot be changed while it runs" in main_text(page)
    assert "base_url: " + admin.server.gateway._settings.upstream.base_url in main_text(page)


async def test_no_secret_is_on_any_page(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/configuration")
    assert "a-long-" not in page.html
    assert "$argon2" not in page.html
    assert "***" in page.html


async def test_a_change_without_a_possible_change_is_refused_with_its_reason(
    admin: RunningAdmin, operator: Person
) -> None:
    page = await admin.open(operator, "/configuration/reload")
    assert page.status == 409
    assert "The configuration of this gateway cannot be changed while it runs." in main_text(page)
