"""What is granted: requested, allowed to the client and to the user, and agreed to; and how a person is asked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.smart.admin import register
from tests.smart.house import CALLBACK, House, smart_house
from tests.smart.later import Later
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
VITAL_SIGNS = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
NATIVE = "com.example.app:/callback"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(fhir_server: str) -> AsyncIterator[House]:
    """A SMART server with clients and users that are allowed less than others."""

    def change(settings: dict[str, Any]) -> None:
        smart = settings["smart_server"]
        more: dict[str, dict[str, Any]] = {
            "never-app": {"may_refresh": False},
            "native-app": {"redirect_uris": [NATIVE]},
            "custom-app": {"scopes": "openid patient/*.rs __photo https://ehr.example/scopes/photo.manage"},
            "user-app": {"scopes": "user/Patient.rs user/Observation.r"},
        }
        for client_id, entry in more.items():
            smart["clients"].append({"client_id": client_id, "name": client_id, "redirect_uris": [CALLBACK], **entry})
        related = {
            "username": "registrar",
            "name": "Rita Registrar",
            "password_hash": smart["users"][0]["password_hash"],
        }
        smart["users"].append({**related, "fhir_user": "PractitionerRole/role-1"})
        smart["user_scopes"] = {
            "Patient": "patient/*.rs user/*.rs",
            "Practitioner": "patient/*.rs user/*.rs",
            "PractitionerRole": "patient/Patient.r patient/Observation.rs?category=vital-signs",
        }

    async with smart_house(fhir_server, change=change) as running:
        yield running


@pytest.fixture(scope="module")
def later(house: House) -> Later:
    """The one hand on the clocks of this house."""
    return Later(house)


async def granted(house: House, scope: str, *, client_id: str = "public-app", **options: Any) -> set[str]:
    """What comes of a request to which everything is agreed."""
    answer = await house.tokens(house.app(client_id), scope, **options)
    return set(answer["scope"].split())


CUTS: dict[str, tuple[str, str, str, str]] = {
    "all that was asked": ("public-app", "doctor", "patient/Observation.rs", "launch/patient patient/Observation.rs"),
    "writing, which no user may grant": (
        "public-app",
        "doctor",
        "patient/Observation.cruds",
        "launch/patient patient/Observation.rs",
    ),
    "v1 words stay v1 words": (
        "public-app",
        "doctor",
        "patient/Observation.read",
        "launch/patient patient/Observation.read",
    ),
    "v1 that is cut stays v1 where v1 can say it": (
        "public-app",
        "doctor",
        "patient/Observation.*",
        "launch/patient patient/Observation.read",
    ),
    "a v1 wildcard": ("public-app", "doctor", "patient/*.read", "launch/patient patient/*.read"),
    "a wildcard stays a wildcard": ("public-app", "doctor", "user/*.rs", "user/*.rs"),
    "letters by themselves": (
        "public-app",
        "doctor",
        "user/Observation.r user/Condition.s",
        "user/Observation.r user/Condition.s",
    ),
    "no system scope for a person": ("public-app", "doctor", "system/*.rs user/Patient.r", "user/Patient.r"),
    "duplicates collapse": (
        "public-app",
        "doctor",
        "openid  openid user/Patient.r user/Patient.r",
        "openid user/Patient.r",
    ),
    "the client's constraint is added": (
        "labs-app",
        "doctor",
        "patient/Observation.rs",
        "launch/patient patient/Observation.rs?category=laboratory",
    ),
    "both constraints hold": (
        "labs-app",
        "doctor",
        "patient/Observation.rs?code=1234-5",
        "launch/patient patient/Observation.rs?code=1234-5&category=laboratory",
    ),
    "a wildcard is cut to what the client may": (
        "labs-app",
        "doctor",
        "patient/*.rs",
        "launch/patient patient/Observation.rs?category=laboratory patient/Patient.r",
    ),
    "another context is not the client's": (
        "user-app",
        "doctor",
        "user/*.rs patient/*.rs",
        "user/Patient.rs user/Observation.r",
    ),
    "identity must be registered too": ("user-app", "doctor", "openid fhirUser user/Patient.r", "user/Patient.r"),
    "the user's own limits": (
        "public-app",
        "registrar",
        "patient/*.rs",
        "launch/patient patient/Patient.r patient/Observation.rs?category=vital-signs",
    ),
    "fhirUser without openid": ("public-app", "doctor", "fhirUser user/Patient.r", "user/Patient.r"),
    "fhirUser of somebody without a record": ("public-app", "clerk", "openid fhirUser", "openid"),
    "unknown extensions": ("public-app", "doctor", "openid __photo https://ehr.example/scopes/x", "openid"),
    "known extensions": (
        "custom-app",
        "doctor",
        "openid __photo https://ehr.example/scopes/photo.manage",
        "openid __photo https://ehr.example/scopes/photo.manage",
    ),
    "no refresh for who may not": ("never-app", "doctor", "openid offline_access online_access", "openid"),
    "a chain is never granted": ("public-app", "doctor", "openid user/Observation.rs?patient.birthdate=1990", "openid"),
    "a modifier is never granted": ("public-app", "doctor", "openid user/Observation.rs?code:in=http://v", "openid"),
    "a result parameter is never granted": (
        "public-app",
        "doctor",
        "openid user/Patient.rs?_include=Patient:organization",
        "openid",
    ),
    "a wide scope beside a narrow one": (
        "public-app",
        "doctor",
        f"user/Observation.rs user/Observation.rs?category={LABORATORY}",
        "user/Observation.rs",
    ),
    "letters do not borrow": (
        "public-app",
        "doctor",
        f"user/Observation.r?category={LABORATORY} user/Observation.s",
        f"user/Observation.r?category={LABORATORY} user/Observation.s",
    ),
}


@pytest.mark.requirement("SC-8", "SC-9", "SC-11", "SC-13", "SC-14", "SC-16", "SC-21", "SC-23", "SC-24", "SC-29",
                         "SC-31", "SC-32", "SC-33", "SC-42", "SC-44", "EX-2", "G-2", "edge-92", "edge-93", "edge-94",
                         "edge-95", "edge-97", "edge-98", "edge-100", "edge-102", "edge-103")  # fmt: skip
@pytest.mark.parametrize(("client_id", "user", "asked", "given"), CUTS.values(), ids=CUTS)
async def test_what_is_granted_is_cut_to_what_everybody_may(
    house: House, client_id: str, user: str, asked: str, given: str
) -> None:
    assert await granted(house, asked, client_id=client_id, user=user) == set(given.split())


@pytest.mark.requirement("edge-101", "SC-33")
@pytest.mark.parametrize(
    ("client_id", "user", "scope"),
    [
        ("public-app", "clerk", "patient/*.rs"),
        ("public-app", "doctor", "system/*.rs"),
        ("public-app", "doctor", "user/Observation.cud"),
        ("public-app", "doctor", "launch/patient offline_access"),
        ("user-app", "doctor", "user/Condition.rs openid"),
        ("labs-app", "doctor", "patient/Condition.rs"),
    ],
)
async def test_where_nothing_can_be_granted_the_app_is_told(
    house: House, client_id: str, user: str, scope: str
) -> None:
    page = await house.person().go(house.app(client_id).authorization_url(scope))
    if page.left_for is None:
        page = await house.people[-1].sign_in(page, user)
    assert page.parameters["error"] == "invalid_scope"


# The choice of a person.


async def choosing(
    house: House, scope: str, uses: dict[str, str | list[str]], *, user: str = "patient", client_id: str = "public-app"
) -> set[str]:
    """What is granted where the person ticks this and nothing else; or the error."""
    app = house.app(client_id)
    person, page = await house.consent_page(app, scope, user=user)
    form = page.form("/consent")
    pairs = [("csrf", form.value("csrf") or ""), ("decision", "allow")]
    for name, value in uses.items():
        pairs += [(name, one) for one in ([value] if isinstance(value, str) else value)]
    page = await person.go(form.action, data=pairs)
    if "error" in page.parameters:
        return {page.parameters["error"]}
    answer = (await app.exchange(page.parameters["code"])).json()
    return set(answer["scope"].split())


def row(page: Page, scope: str) -> int:
    """The number of the row of which this is a part; rows come in the order of the request."""
    for name, values in page.form("/consent").choices.items():
        if name.startswith("part-") and scope in values:
            return int(name.removeprefix("part-"))
    raise AssertionError(f"{scope} is not to choose")


@pytest.mark.requirement("BP-7", "SC-31", "edge-103")
async def test_a_wildcard_can_be_taken_apart_into_types(house: House) -> None:
    scope = "launch/patient openid fhirUser offline_access patient/*.rs"
    app = house.app()
    person, page = await house.consent_page(app, scope, user="patient")
    index = row(page, "patient/Condition.rs")
    uses: dict[str, str | list[str]] = {
        f"use-{index}": "some",
        f"part-{index}": [
            "patient/Condition.rs",
            "patient/Patient.rs",
            f"patient/Observation.rs?category={LABORATORY}",
        ],
    }
    page = await person.send(page, "/consent", decision="allow", **{**_all(page), **uses})
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {
        "launch/patient", "openid", "fhirUser", "offline_access", "patient/Condition.rs", "patient/Patient.rs",
        f"patient/Observation.rs?category={LABORATORY}",
    }  # fmt: skip
    assert (await app.read("/Condition", answer["access_token"])).status_code == 200
    assert (await app.read("/Encounter", answer["access_token"])).status_code in {401, 403}


def _all(page: Page) -> dict[str, str | list[str]]:
    return {name: "all" for name in page.form("/consent").choices if name.startswith("use-")}


@pytest.mark.requirement("BP-7", "edge-97", "edge-99")
@pytest.mark.parametrize("word", ["rs", "read"])
async def test_a_type_can_be_taken_apart_into_its_categories_in_their_very_words(house: House, word: str) -> None:
    app = house.app()
    person, page = await house.consent_page(app, f"patient/Condition.{word} patient/Observation.{word}", user="patient")
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
    index = row(page, chosen[0])
    other = 1 - index if index < 2 else index - 1
    uses: dict[str, str | list[str]] = {f"use-{index}": "some", f"part-{index}": chosen, f"use-{other}": "none"}
    page = await person.send(page, "/consent", decision="allow", **uses)
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", *chosen}


@pytest.mark.requirement("A-15", "SC-31", "edge-101")
async def test_nothing_ticked_is_a_no_unless_the_app_may_still_know_who_it_is(house: House) -> None:
    assert await choosing(house, "patient/Observation.rs", {}) == {"access_denied"}
    assert await choosing(house, "launch/patient patient/Observation.rs offline_access", {}) == {"access_denied"}
    assert await choosing(house, "openid patient/Observation.rs", {}) == {"openid"}
    assert await choosing(house, "openid launch/patient patient/Observation.rs", {}) == {"openid", "launch/patient"}


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
async def test_a_tampered_form_gets_never_more_than_was_offered(house: House, uses: dict[str, str | list[str]]) -> None:
    """Row 0 is `openid`, which is told and not asked; row 1 is the Observations."""
    given = await choosing(house, "openid patient/Observation.rs", uses)
    narrowed = {"a wider part", "more letters"}
    expected = (
        {"openid", "launch/patient", "patient/Observation.rs"}
        if uses in [TAMPERED[one] for one in narrowed]
        else {"openid"}
    )
    assert given == expected


@pytest.mark.requirement("SC-33", "edge-45")
async def test_a_narrower_part_than_any_that_was_shown_is_only_narrower(house: House) -> None:
    uses: dict[str, str | list[str]] = {"use-1": "some", "part-1": "patient/Observation.r?code=1234-5"}
    given = await choosing(house, "openid patient/Observation.rs", uses)
    assert given == {"openid", "launch/patient", "patient/Observation.r?code=1234-5"}


@pytest.mark.requirement("RF-2", "E-8")
@pytest.mark.parametrize("order", ["online_access offline_access", "offline_access online_access"])
async def test_each_row_means_what_it_says_where_one_of_two_refresh_scopes_falls_away(house: House, order: str) -> None:
    app = house.app()
    person, page = await house.consent_page(app, f"{order} user/Patient.rs user/Observation.rs", user="doctor")
    parts = page.form("/consent").choices
    observation = row(page, f"user/Observation.rs?category={LABORATORY}")
    uses: dict[str, str | list[str]] = {name: "none" for name in parts if name.startswith("use-")}
    page = await person.send(page, "/consent", decision="allow", **{**uses, f"use-{observation}": "all"})
    answer = (await app.exchange(page.parameters["code"])).json()
    assert answer["scope"] == "user/Observation.rs"
    assert "refresh_token" not in answer


@pytest.mark.requirement("A-11", "S-6")
@pytest.mark.parametrize("decision", [{"decision": "deny"}, {"decision": ""}, {}, {"decision": ["allow", "deny"]}])
async def test_whatever_is_not_a_clear_yes_is_a_no(house: House, decision: dict[str, str | list[str]]) -> None:
    person, page = await house.consent_page(house.app(), "openid patient/*.rs", user="patient")
    page = await person.send(page, "/consent", **decision)
    assert page.parameters["error"] == "access_denied"


# The page.


@pytest.mark.requirement("SC-30", "BP-1", "BP-4", "R-12")
async def test_the_page_says_who_asks_for_what_of_whom_for_how_long(house: House) -> None:
    _, page = await house.consent_page(house.app(), "openid offline_access patient/*.rs user/Patient.rs")
    for words in ("Growth Chart", "Shows how a child grows.", "Dr Dora Demo", "patient/*.rs"):
        assert words in page.text, words
    assert "now and in future" in page.text, "a wildcard holds for types of the future, too"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_patient_has_to_answer_for_what_is_sensitive(house: House) -> None:
    _, page = await house.consent_page(house.app(), "offline_access patient/Observation.rs", user="patient")
    form = page.form("/consent")
    refresh = [name for name, values in form.choices.items() if values == ["all", "none"]]
    assert refresh
    assert all(form.value(name) is None for name in refresh), "offline access is never ticked beforehand"


# Consent that is remembered.


async def remembering(house: House, scope: str, *, person: Person, client_id: str = "public-app", **more: str) -> None:
    """Agree to everything, to be remembered."""
    _, page = await house.consent_page(
        house.app(client_id, **more), scope, person=person, user="nurse", prompt="consent"
    )
    page = await person.agree(page, remember="yes")
    assert "code" in page.parameters


@pytest.mark.requirement("edge-26")
@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        ("launch/patient patient/Observation.rs openid", False),
        ("launch/patient patient/Observation.r", False),
        (f"launch/patient patient/Observation.rs?category={LABORATORY}", False),
        ("launch/patient patient/Observation.rs openid offline_access", True),
        ("launch/patient patient/*.rs", True),
        ("launch/patient patient/Condition.rs", True),
        ("launch/patient patient/Observation.rs user/Observation.rs", True),
        ("launch/patient patient/Observation.rs openid fhirUser", True),
    ],
)
async def test_remembered_consent_reaches_no_further_than_it_went(house: House, scope: str, asked: bool) -> None:
    person = house.person()
    await remembering(house, "launch/patient patient/Observation.rs openid", person=person)
    app = house.app()
    _, page = await house.consent_page(app, scope, person=person)
    assert (page.left_for is None) is asked
    if not asked:
        answer = (await app.exchange(page.parameters["code"])).json()
        assert set(answer["scope"].split()) == set(scope.split())


@pytest.mark.requirement("edge-26")
async def test_remembered_consent_is_of_one_user_one_patient_and_one_app(house: House) -> None:
    person = house.person()
    await remembering(house, "patient/Observation.rs", person=person)
    _, page = await house.consent_page(house.app(), "patient/Observation.rs", person=person, patient="pat-b")
    assert page.form("/consent").action, "another patient"
    _, page = await house.consent_page(house.app("other-app"), "patient/Observation.rs", person=person)
    assert page.form("/consent").action, "another app"
    _, page = await house.consent_page(house.app(), "patient/Observation.rs", user="doctor")
    assert page.form("/consent").action, "another user"


@pytest.mark.requirement("edge-26")
async def test_offline_access_is_asked_for_each_time(house: House) -> None:
    person, scope = house.person(), "patient/Observation.rs offline_access"
    await remembering(house, scope, person=person)
    _, page = await house.consent_page(house.app(), scope, person=person)
    assert page.form("/consent").action


@pytest.mark.requirement("edge-26")
async def test_a_no_is_not_remembered_as_a_yes(house: House) -> None:
    person, app, scope = house.person(), house.app(), "patient/Observation.rs patient/Condition.rs"
    _, page = await house.consent_page(app, scope, person=person, user="nurse", patient="pat-3")
    parts = row(page, f"patient/Observation.rs?category={LABORATORY}")
    uses: dict[str, str | list[str]] = {name: "none" for name in page.form("/consent").choices if "use-" in name}
    page = await person.agree(page, remember="yes", **{**uses, f"use-{parts}": "all"})
    assert "code" in page.parameters
    _, page = await house.consent_page(app, scope, person=person, patient="pat-3")
    assert page.form("/consent").action, "the Conditions were not agreed to"
    _, page = await house.consent_page(app, "patient/Observation.rs", person=person, patient="pat-3")
    assert "code" in page.parameters


async def test_an_app_that_any_other_can_pass_for_is_asked_about_each_time(house: House) -> None:
    """RFC 8252 8.6: whoever takes the private scheme on a device gets the code."""
    person = house.person()
    await remembering(house, "patient/Observation.rs", person=person, client_id="native-app", redirect_uri=NATIVE)
    app = house.app("native-app", redirect_uri=NATIVE)
    _, page = await house.consent_page(app, "patient/Observation.rs", person=person)
    assert page.form("/consent").action


async def test_ending_the_access_forgets_the_consent(house: House) -> None:
    person = house.person()
    app = house.app("other-app")
    _, page = await house.consent_page(app, "patient/Observation.rs", person=person, user="nurse", patient="pat-4")
    page = await person.agree(page, remember="yes")
    await app.exchange(page.parameters["code"])
    manage = await person.go(f"{house.issuer}/manage")
    form = next(one for one in manage.forms if one.value("grant") is not None)
    await person.go(form.action, data=form.fields)
    _, page = await house.consent_page(app, "patient/Observation.rs", person=person, patient="pat-4")
    assert page.form("/consent").action


async def test_a_house_app_asks_nobody(house: House) -> None:
    person, page = await house.consent_page(house.app("house-app"), "patient/Observation.rs")
    assert "code" in page.parameters
    _, page = await house.consent_page(house.app("house-app"), "openid", person=person, prompt="consent")
    assert page.form("/consent").action, "unless the app itself wants it"


async def test_a_house_app_that_any_app_on_a_device_can_pass_for_asks_all_the_same(house: House) -> None:
    """RFC 8252 8.6: a scheme of its own does not tell who asks."""
    uri = "com.example.house:/callback"
    await register(house, "device-app", redirect_uris=[uri], skip_consent=True)
    _, page = await house.consent_page(house.app("device-app", redirect_uri=uri), "patient/Observation.rs")
    assert page.left_for is None
    assert page.form("/consent").action


# OpenID Connect: prompt, max_age, login_hint.


@pytest.mark.requirement("A-21")
async def test_prompt_none_asks_nobody_anything(house: House) -> None:
    app, person = house.app("other-app"), house.person()
    page = await person.go(app.authorization_url("openid", prompt="none"))
    assert page.parameters["error"] == "login_required"
    assert page.parameters["state"] == app.state
    await house.consent_page(house.app(), "openid", person=person, user="nurse")
    page = await person.go(app.authorization_url("user/Patient.rs", prompt="none"))
    assert page.parameters["error"] == "consent_required"
    page = await person.go(app.authorization_url("patient/Patient.rs", prompt="none"))
    assert page.parameters["error"] == "interaction_required"
    _, page = await house.consent_page(app, "user/Patient.rs", person=person)
    await person.agree(page, remember="yes")
    page = await person.go(app.authorization_url("user/Patient.rs", prompt="none"))
    assert "code" in page.parameters


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
async def test_prompt_login_asks_for_the_password_again(house: House, prompt: str) -> None:
    app, person = house.app(), house.person()
    await house.consent_page(app, "openid", person=person)
    page = await person.go(app.authorization_url("openid", prompt=prompt))
    assert page.form("/login").action
    page = await person.sign_in(await person.go(page.url), "nurse")
    assert "Nina Nurse" in page.text
    assert "code" in (await person.agree(page)).parameters


@pytest.mark.requirement("A-21")
async def test_prompt_consent_asks_again(house: House) -> None:
    person = house.person()
    await remembering(house, "user/Condition.rs", person=person)
    _, page = await house.consent_page(house.app(), "user/Condition.rs", person=person, prompt="consent")
    assert page.form("/consent").action


@pytest.mark.requirement("A-21")
async def test_max_age_asks_for_a_login_that_is_no_older(house: House, later: Later) -> None:
    app, person = house.app(), house.person()
    await house.consent_page(app, "openid", person=person)
    later.wait(100)
    page = await person.go(app.authorization_url("openid", max_age="1000"))
    assert page.form("/consent").action
    page = await person.go(app.authorization_url("openid", max_age="99"))
    assert page.form("/login").action
    page = await person.go(app.authorization_url("openid", max_age="0"))
    page = await person.sign_in(page)
    assert page.form("/consent").action


@pytest.mark.requirement("A-21")
async def test_login_hint_fills_in_the_name_and_is_only_text(house: House) -> None:
    page = await house.person().go(house.app().authorization_url("openid", login_hint='nurse"><script>'))
    assert page.form("/login").value("username") == 'nurse"><script>'
    assert "<script>" not in page.html
