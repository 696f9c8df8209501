"""The consent page: what a user can choose, and what the page shows."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.smart_server.consent_pages import (
    LABORATORY,
    restrict_clients_and_users,
    row_with_part,
)
from tests.smart_server.person_in_browser import Page
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

VITAL_SIGNS = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with clients and users that have fewer rights than others."""
    async with run_smart_server(fhir_server, change=restrict_clients_and_users) as running:
        yield running


async def scopes_after_consent(
    server: RunningServer,
    scope: str,
    uses: dict[str, str | list[str]],
    *,
    user: str = "patient",
    client_id: str = "public-app",
) -> set[str]:
    """The granted scopes if the user ticks only this, or the error code."""
    app = server.app(client_id)
    person, page = await server.open_consent_page(app, scope, user=user)
    form = page.form("/consent")
    pairs = [("csrf", form.value("csrf") or ""), ("decision", "allow")]
    for name, value in uses.items():
        pairs += [(name, item) for item in ([value] if isinstance(value, str) else value)]
    page = await person.open(form.action, data=pairs)
    if "error" in page.parameters:
        return {page.parameters["error"]}
    answer = (await app.exchange(page.parameters["code"])).json()
    return set(answer["scope"].split())


@pytest.mark.requirement("BP-7", "SC-31", "edge-103")
async def test_a_wildcard_can_be_taken_apart_into_types(server: RunningServer) -> None:
    scope = "launch/patient openid fhirUser offline_access patient/*.rs"
    app = server.app()
    person, page = await server.open_consent_page(app, scope, user="patient")
    index = row_with_part(page, "patient/Condition.rs")
    uses: dict[str, str | list[str]] = {
        f"use-{index}": "some",
        f"part-{index}": [
            "patient/Condition.rs",
            "patient/Patient.rs",
            f"patient/Observation.rs?category={LABORATORY}",
        ],
    }
    page = await person.submit(page, "/consent", decision="allow", **{**_all_uses(page), **uses})
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {
        "launch/patient", "openid", "fhirUser", "offline_access", "patient/Condition.rs", "patient/Patient.rs",
        f"patient/Observation.rs?category={LABORATORY}",
    }  # fmt: skip
    assert (await app.read("/Condition", answer["access_token"])).status_code == 200
    assert (await app.read("/Encounter", answer["access_token"])).status_code in {401, 403}


def _all_uses(page: Page) -> dict[str, str | list[str]]:
    return {name: "all" for name in page.form("/consent").choices if name.startswith("use-")}


@pytest.mark.requirement("BP-7", "edge-97", "edge-99")
@pytest.mark.parametrize("word", ["rs", "read"])
async def test_a_type_can_be_taken_apart_into_its_categories_in_their_very_words(
    server: RunningServer, word: str
) -> None:
    app = server.app()
    person, page = await server.open_consent_page(
        app, f"patient/Condition.{word} patient/Observation.{word}", user="patient"
    )
    offered = {value for name, values in page.form("/consent").choices.items() if name.startswith("part-")
               for value in values}  # fmt: skip
    assert offered == {
        "patient/Condition.rs?category=http://terminology.hl7.org/CodeSystem/condition-category|encounter-diagnosis",
        "patient/Condition.rs?category=http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item",
        "patient/Condition.rs?category=http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern",
        "patient/Observation.rs?category=http://hl7.org/fhir/us/core/CodeSystem/us-core-category|clinical-test",
        "patient/Observation.rs?category=http://hl7.org/fhir/us/core/CodeSystem/us-core-category|sdoh",
        f"patient/Observation.rs?category={LABORATORY}",
        f"patient/Observation.rs?category={VITAL_SIGNS}",
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|social-history",
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|survey",
    }
    chosen = [f"patient/Observation.rs?category={LABORATORY}", f"patient/Observation.rs?category={VITAL_SIGNS}"]
    index = row_with_part(page, chosen[0])
    other = 1 - index if index < 2 else index - 1
    uses: dict[str, str | list[str]] = {f"use-{index}": "some", f"part-{index}": chosen, f"use-{other}": "none"}
    page = await person.submit(page, "/consent", decision="allow", **uses)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", *chosen}


@pytest.mark.requirement("A-15", "SC-31", "edge-101")
async def test_nothing_ticked_is_a_no_unless_the_app_may_still_know_who_it_is(server: RunningServer) -> None:
    assert await scopes_after_consent(server, "patient/Observation.rs", {}) == {"access_denied"}
    assert await scopes_after_consent(server, "launch/patient patient/Observation.rs offline_access", {}) == {
        "access_denied"
    }
    assert await scopes_after_consent(server, "openid patient/Observation.rs", {}) == {"openid"}
    assert await scopes_after_consent(server, "openid launch/patient patient/Observation.rs", {}) == {
        "openid",
        "launch/patient",
    }


TAMPERED: dict[str, dict[str, str | list[str]]] = {
    "a wider part": {"use-1": "some", "part-1": "patient/*.rs"},
    "more letters": {"use-1": "some", "part-1": "patient/Observation.cruds"},
    "another type": {"use-1": "some", "part-1": "patient/Condition.rs"},
    "another context": {"use-1": "some", "part-1": ["user/Observation.rs", "system/Observation.rs"]},
    "no scope at all": {"use-1": "some", "part-1": ["nonsense", "", "openid", "offline_access", "é", "x" * 3000]},
    "a part of a row that there is not": {"use-7": "all", "part-7": "patient/*.rs"},
    "a row by another name": {"use--1": "all", "use-01": "all", "use-1.0": "all", "use-x": "all", "USE-1": "all"},
    "an answer that is none": {"use-1": "ALL", "part-1": "patient/Observation.rs"},
    "a scope of its own": {"scope": "patient/*.rs", "use-1": "none"},
}


@pytest.mark.requirement("edge-45", "SC-33", "G-2")
@pytest.mark.parametrize("uses", TAMPERED.values(), ids=TAMPERED)
async def test_a_tampered_form_gets_never_more_than_was_offered(
    server: RunningServer, uses: dict[str, str | list[str]]
) -> None:
    """Row 0 is `openid`, which is a statement; row 1 is the Observations."""
    given = await scopes_after_consent(server, "openid patient/Observation.rs", uses)
    narrowed = {"a wider part", "more letters"}
    expected = (
        {"openid", "launch/patient", "patient/Observation.rs"}
        if uses in [TAMPERED[name] for name in narrowed]
        else {"openid"}
    )
    assert given == expected


@pytest.mark.requirement("SC-33", "edge-45")
async def test_a_narrower_part_than_any_that_was_shown_is_only_narrower(server: RunningServer) -> None:
    uses: dict[str, str | list[str]] = {"use-1": "some", "part-1": "patient/Observation.r?code=1234-5"}
    given = await scopes_after_consent(server, "openid patient/Observation.rs", uses)
    assert given == {"openid", "launch/patient", "patient/Observation.r?code=1234-5"}


@pytest.mark.requirement("RF-2", "E-8")
@pytest.mark.parametrize("order", ["online_access offline_access", "offline_access online_access"])
async def test_each_row_means_what_it_says_where_one_of_two_refresh_scopes_falls_away(
    server: RunningServer, order: str
) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, f"{order} user/Patient.rs user/Observation.rs", user="doctor")
    parts = page.form("/consent").choices
    observation = row_with_part(page, f"user/Observation.rs?category={LABORATORY}")
    uses: dict[str, str | list[str]] = {name: "none" for name in parts if name.startswith("use-")}
    page = await person.submit(page, "/consent", decision="allow", **{**uses, f"use-{observation}": "all"})
    answer = (await app.exchange(page.parameters["code"])).json()
    assert answer["scope"] == "user/Observation.rs"
    assert "refresh_token" not in answer


@pytest.mark.requirement("A-11", "S-6")
@pytest.mark.parametrize("decision", [{"decision": "deny"}, {"decision": ""}, {}, {"decision": ["allow", "deny"]}])
async def test_whatever_is_not_a_clear_yes_is_a_no(server: RunningServer, decision: dict[str, str | list[str]]) -> None:
    person, page = await server.open_consent_page(server.app(), "openid patient/*.rs", user="patient")
    page = await person.submit(page, "/consent", **decision)
    assert page.parameters["error"] == "access_denied"


@pytest.mark.requirement("SC-30", "BP-1", "BP-4", "R-12")
async def test_the_page_says_who_asks_for_what_of_whom_for_how_long(server: RunningServer) -> None:
    _, page = await server.open_consent_page(server.app(), "openid offline_access patient/*.rs user/Patient.rs")
    for words in ("Growth Chart", "Shows how a child grows.", "Dr Dora Demo", "patient/*.rs"):
        assert words in page.text, words
    assert "now and in future" in page.text, "a wildcard holds for types of the future, too"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_patient_has_to_answer_for_what_is_sensitive(server: RunningServer) -> None:
    _, page = await server.open_consent_page(server.app(), "offline_access patient/Observation.rs", user="patient")
    form = page.form("/consent")
    refresh = [name for name, values in form.choices.items() if values == ["all", "none"]]
    assert refresh
    assert all(form.value(name) is None for name in refresh), "offline access is never ticked beforehand"


async def test_only_some_with_nothing_ticked_asks_again_and_keeps_the_answers(server: RunningServer) -> None:
    app = server.app()
    person, page = await server.open_consent_page(app, "openid patient/Observation.rs", user="patient")
    again = await person.submit(page, "/consent", decision="allow", **{"use-1": "some"})
    assert again.left_for is None
    assert "ticked nothing there" in again.text
    assert again.form("/consent").value("use-1") == "some"
    page = await person.submit(again, "/consent", decision="allow", **{"use-1": "none"})
    assert "code" in page.parameters, "the app may still know who it is"


async def test_the_page_says_where_data_goes_and_who_has_signed_in_and_says_nothing_twice(
    server: RunningServer,
) -> None:
    _, page = await server.open_consent_page(
        server.app(), "openid fhirUser profile offline_access patient/Observation.rs", user="patient"
    )
    assert "Data goes to" in page.text
    assert "Signed in as" in page.text
    for sentence in (
        "Know which record on this server is your own.",
        "Keep access while you are not signed in, until you end it.",
        "Read and search your measurements and results.",
    ):
        assert page.text.count(sentence) == 1, sentence
    assert "the user" not in page.text
