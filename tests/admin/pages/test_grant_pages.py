"""The pages of access: found by user, app and patient, shown in sentences, and ended."""

from typing import Any

import pytest

from tests.admin.pages.what_pages_show import confirm, document, heading, links, main_text, notice
from tests.admin.running_admin import RunningAdmin
from tests.smart_server.ehr_launcher import create_vouched_launch
from tests.smart_server.person_in_browser import Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]
SCOPE = "launch/patient patient/Observation.rs offline_access openid fhirUser"


async def grant(admin: RunningAdmin, client_id: str = "public-app", user: str = "doctor", **options: Any) -> str:
    """An app gets access; its access token."""
    answer = await admin.server.request_tokens(admin.server.app(client_id), SCOPE, user=user, **options)
    return str(answer["access_token"])


async def status_of(admin: RunningAdmin, token: str) -> int:
    """Whether a token still counts."""
    return (await admin.server.app().read("/Observation?code=1234-5", token)).status_code


async def test_without_a_name_there_is_only_the_search(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/grants")
    assert [field.get("name") for field in document(page).all("input")] == ["csrf", "patient", "user", "client"]
    assert links(page) == []


async def test_access_is_found_by_whatever_is_named_and_all_of_it_must_fit(
    admin: RunningAdmin, operator: Person
) -> None:
    await grant(admin)
    await grant(admin, "other-app", "nurse")
    await grant(admin, "other-app", patient="pat-b")
    found = {}
    for query in ("client=other-app", "user=doctor", "patient=pat-b", "client=other-app&user=doctor", "client=none"):
        page = await admin.open(operator, f"/grants?{query}")
        found[query] = len([link for link in links(page) if link.startswith("/grants/show?")])
        assert ("No app has such access." in main_text(page)) is (found[query] == 0)
    assert found == {
        "client=other-app": 2, "user=doctor": 2, "patient=pat-b": 1, "client=other-app&user=doctor": 1,
        "client=none": 0,
    }  # fmt: skip


async def test_one_access_is_shown_in_sentences_and_ended(admin: RunningAdmin, operator: Person) -> None:
    token = await grant(admin, "labs-app", user="patient")
    page = await admin.open(operator, "/grants?client=labs-app")
    [shown] = [link for link in links(page) if link.startswith("/grants/show?")]
    page = await admin.open(operator, shown)
    assert heading(page) == "Access of labs-app"
    assert "In the words of SMART" in main_text(page)
    assert "laboratory" in main_text(page).lower()
    [end] = [link for link in links(page) if link.startswith("/grants/end?")]
    page = await admin.open(operator, end)
    assert "The app loses access at once, with all of its tokens." in main_text(page)
    assert await status_of(admin, token) == 200
    page = await operator.submit(page, "/grants/end")
    assert notice(page) == "The access has ended."
    assert await status_of(admin, token) == 401
    assert (await admin.open(operator, shown)).status == 404


async def test_all_access_to_a_patient_is_ended_and_counted(admin: RunningAdmin, operator: Person) -> None:
    tokens = [await grant(admin, client_id, "nurse", patient="pat-b") for client_id in ("old-app", "strict-app")]
    kept = await grant(admin, "strict-app", "nurse")
    asked = await admin.open(operator, "/grants/end-all?user=nurse&patient=pat-b")
    assert "2 grants end." in main_text(asked)
    page = await operator.submit(asked, "/grants/end-all")
    assert notice(page) == "Access that has ended: 2."
    assert [await status_of(admin, token) for token in (*tokens, kept)] == [401, 401, 200]
    assert (await admin.open(operator, "/grants/end-all?user=nurse&patient=pat-b")).status == 409


async def test_a_user_of_a_launcher_is_known_by_what_they_granted(admin: RunningAdmin, operator: Person) -> None:
    person = admin.server.person()
    user = {"subject": "abc", "name": "Edda Elsewhere", "fhirUser": "Practitioner/practitioner-1"}
    handle = await create_vouched_launch(admin.server, person, user=user, context={"patient": "pat-a"})
    scope = "launch patient/Observation.rs openid fhirUser"
    await admin.server.request_tokens(admin.server.app(), scope, launch=handle, person=person)
    page = await admin.open(operator, "/grants?user=trusted-ehr%7Cabc")
    [shown] = [link for link in links(page) if link.startswith("/users/show?")]
    page = await admin.open(operator, shown)
    assert heading(page) == "Edda Elsewhere"
    assert "Somebody who signs in elsewhere is disabled by their name there" in main_text(page)
    page = await confirm(admin, operator, next(link for link in links(page) if link.startswith("/users/end?")))
    assert notice(page) == "All sessions and access of the user have ended."
    assert "No app has such access." in main_text(await admin.open(operator, "/grants?user=trusted-ehr%7Cabc"))


async def test_a_search_that_cannot_be_one_says_so(admin: RunningAdmin, operator: Person) -> None:
    page = await admin.open(operator, "/grants?user=x&provider=https://unknown.example")
    assert page.status == 400
    assert "provider: must be the issuer of a configured provider" in main_text(page)
