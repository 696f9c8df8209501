"""What the forms of each page post, and what they preselect."""

from dataclasses import replace

from gateway.pages.views import (
    AppCard,
    AppGalleryView,
    EncounterChoice,
    EncounterView,
    LoginView,
    MessageView,
    PageLink,
    PatientView,
    ProviderLink,
    View,
)
from tests.pages.html_document import Document, parse_page
from tests.pages.rendering import render
from tests.pages.samples import PATIENTS, VIEWS, consent, gallery


def page_of(view: View) -> Document:
    return parse_page(render(view))


def values(page: Document, name: str) -> list[str]:
    return [value for field, _, value in page.fields() if field == name]


def checked(page: Document, name: str) -> list[str]:
    return [e.get("value") for e in page.all("input") if e.get("name") == name and "checked" in e.attributes]


def test_login_posts_name_and_password_and_can_be_cancelled_only_for_an_app() -> None:
    page = page_of(LoginView("/login", "c", "Heartline", "amy"))
    assert [name for name, _, _ in page.fields()] == ["csrf", "username", "password", "decision"]
    assert values(page, "username") == ["amy"]
    assert values(page, "decision") == ["cancel"]
    assert values(page_of(LoginView("/login", "c")), "decision") == []


def test_enter_in_the_login_form_signs_in() -> None:
    """The first submit button of a form is its default (HTML, implicit submission)."""
    first = page_of(LoginView("/login", "c", "Heartline")).all("button")[0]
    assert first.get("name") == ""


def test_login_without_local_users_can_still_be_cancelled() -> None:
    page = page_of(
        LoginView("/login", "c", "Heartline", providers=(ProviderLink("/kc", "Kc"),), has_password_form=False)
    )
    assert values(page, "decision") == ["cancel"]
    assert [link.get("href") for link in page.all("a")] == ["/kc"]
    assert values(page, "password") == []


def test_picker_searches_with_what_the_address_already_carries() -> None:
    """A GET form replaces the query of its action, so that the transaction has to be a field."""
    page = page_of(PatientView("/patient?tx=a%26b&name=old&patient=x", "c", "Heartline", "am", PATIENTS))
    search = page.all("form")[0]
    assert (search.get("method"), search.get("action")) == ("get", "/patient")
    sent = [(e.get("name"), e.get("value")) for e in page.all("input") if e.ancestor("form") is search]
    assert sent == [("tx", "a&b"), ("name", "am")]


def test_picker_chooses_nobody_beforehand() -> None:
    """The wrong patient is worse than one more click."""
    page = page_of(PatientView("/patient", "c", "Heartline", "am", PATIENTS[:1]))
    assert values(page, "patient") == ["p1"]
    assert checked(page, "patient") == []
    assert values(page, "decision") == ["choose", "cancel"]


def test_picker_without_people_can_only_be_cancelled() -> None:
    assert values(page_of(PatientView("/patient", "c", "A", "zz", ())), "decision") == ["cancel"]


def test_visits_start_with_the_first_that_is_checked_and_end_with_none() -> None:
    visits = (EncounterChoice("e1", "May", checked=False), EncounterChoice("e2", "June"), EncounterChoice("e3", "July"))
    page = page_of(EncounterView("/visit", "c", "A", "Amelia", visits))
    assert values(page, "encounter") == ["e1", "e2", "e3", ""]
    assert checked(page, "encounter") == ["e2"]


def test_visits_offer_none_once_when_the_caller_brings_it() -> None:
    visits = (EncounterChoice("", "None of them"), EncounterChoice("e1", "May", checked=False))
    page = page_of(EncounterView("/visit", "c", "A", "Amelia", visits))
    assert values(page, "encounter") == ["", "e1"]
    assert checked(page, "encounter") == [""]


def test_consent_offers_some_only_where_there_are_parts() -> None:
    page = page_of(consent())
    assert values(page, "use-1") == ["all", "some", "none"]
    assert values(page, "use-2") == ["all", "none"]
    assert values(page, "part-1") == [
        "patient/AllergyIntolerance.rs",
        "patient/Observation.rs",
        "patient/Observation.rs?category=laboratory",
        "o2",
    ]
    assert checked(page, "part-1") == []


def test_consent_states_what_is_not_optional_and_asks_nothing_about_it() -> None:
    page = page_of(consent())
    assert values(page, "use-0") == []
    assert "Know who has signed in." in page.one("body").text


def test_a_sensitive_line_is_never_answered_beforehand_for_clinicians_neither() -> None:
    assert checked(page_of(consent()), "use-2") == []
    assert checked(page_of(consent()), "use-1") == ["all"]
    assert checked(page_of(consent(clinician=True)), "use-2") == []
    assert all("required" in e.attributes for e in page_of(consent()).all("input") if e.get("name") == "use-2")


def test_a_sensitive_line_is_marked_in_words() -> None:
    page = page_of(consent())
    (row,) = [e for e in page.all("fieldset") if "row-sensitive" in e.get("class")]
    assert "Sensitive" in page.by_id(row.get("aria-describedby")).text


def test_saying_no_needs_no_answers() -> None:
    """Otherwise `required` would prevent a user from leaving the page."""
    buttons = {e.get("value"): e for e in page_of(consent()).all("button") if e.get("name") == "decision"}
    assert list(buttons) == ["allow", "deny"]
    assert "formnovalidate" in buttons["deny"].attributes
    assert "formnovalidate" not in buttons["allow"].attributes


def test_another_patient_is_chosen_by_the_same_form_and_never_by_the_return_key_alone() -> None:
    """The ticks are posted, no row has to be answered, and Return still presses the first button."""
    page = page_of(VIEWS["a consent for a patient who was chosen"])
    buttons = [e for e in page.all("button") if e.get("name") == "decision"]
    assert [e.get("value") for e in buttons] == ["allow", "deny", "another-patient"]
    assert len({id(e.ancestor("form")) for e in buttons}) == 1
    assert "formnovalidate" in buttons[2].attributes
    assert buttons[2].text == "Choose another patient"


def test_consent_is_remembered_only_when_ticked() -> None:
    assert values(page_of(consent()), "remember") == ["yes"]
    assert checked(page_of(consent()), "remember") == []
    assert checked(page_of(consent(remember=True)), "remember") == ["yes"]


def test_what_was_answered_before_is_answered_beforehand() -> None:
    """This includes sensitive rows, which a patient answered before, and refused rows."""
    page = page_of(VIEWS["a consent shown again"])
    assert [checked(page, f"use-{index}") for index in range(4)] == [["some"], ["none"], ["all"], ["some"]]
    kind = "patient/Observation.rs?category=laboratory"
    ticked = [checked(page, f"part-{index}") for index in range(4)]
    assert ticked == [["patient/AllergyIntolerance.rs"], [kind], [], [kind]]
    assert checked(page, "remember") == ["yes"]


def test_nothing_that_is_ticked_lies_hidden_in_a_closed_list() -> None:
    page = page_of(VIEWS["a consent shown again"])
    lists = [e for e in page.all("details") if e.get("class") == "narrower"]
    ticked = [
        e.ancestor("details") for e in page.all("input") if e.get("type") == "checkbox" and "checked" in e.attributes
    ]
    assert ["open" in item.attributes for item in lists] == [item in ticked for item in lists] == [False, True]


def test_nobody_is_offered_a_memory_that_is_not_kept() -> None:
    assert values(page_of(replace(consent(), may_remember=False)), "remember") == []


def test_consent_speaks_to_the_one_who_reads_it() -> None:
    assert page_of(consent()).one("h1").text == "Share your records with Heartline?"
    assert page_of(consent(patient="Jo")).one("h1").text == "Share the records of Jo with Heartline?"
    own = consent(patient="Amelia Vale", is_own=True)
    assert page_of(own).one("h1").text == "Share your records with Heartline?"
    assert page_of(consent(clinician=True)).one("h1").text == "Let Heartline work with the record of Amelia?"
    assert page_of(consent(clinician=True, patient="")).one("h1").text == "Let Heartline work in your name?"


def test_grants_end_one_access_each() -> None:
    page = page_of(VIEWS["grants"])
    assert values(page, "grant") == ["g1", "g2", "g3"]
    assert values(page, "every") == ["yes"]
    assert [form.get("action") for form in page.all("form")] == ["/out", *["/grants"] * 4]
    assert [heading.text for heading in page.all("h2")] == ["Heartline", "Growth Chart"], "one for each app and patient"


def test_gallery_starts_no_app_that_needs_a_patient_before_one_is_chosen() -> None:
    assert values(page_of(gallery((), "", "")), "client") == ["b"]
    page = page_of(gallery(PATIENTS, "p1", "Amelia", "a"))
    assert values(page, "client") == ["a", "b"]
    launches = [form for form in page.all("form") if form.get("target") == "_blank"]
    sent = [e.get("value") for e in page.all("input") if e.ancestor("form") in launches and e.get("name") == "patient"]
    assert sent == ["p1", "p1"]


def test_gallery_chooses_by_address_and_keeps_the_search() -> None:
    page = page_of(gallery(PATIENTS, "", "", "a"))
    (choose,) = {
        id(e.ancestor("form")): e.ancestor("form") for e in page.all("button") if e.get("name") == "patient"
    }.values()
    assert choose is not None
    assert (choose.get("method"), choose.get("action")) == ("get", "/apps")
    sent = [(e.get("name"), e.get("value")) for e in page.all("input") if e.ancestor("form") is choose]
    assert sent == [("theme", "x"), ("name", "a")]


def test_a_patient_sees_no_search_in_the_gallery() -> None:
    page = page_of(gallery((), "p1", "Amelia", user="Amelia"))
    assert [e for e in page.all("input") if e.get("type") == "search"] == []
    assert "Choose another patient" not in page.one("body").text


def test_a_clinician_can_always_change_the_patient() -> None:
    page = page_of(gallery((), "p9", "Jo"))
    assert "/apps?theme=x" in [link.get("href") for link in page.all("a")]


def test_an_address_that_would_run_script_is_no_link() -> None:
    hostile = "javascript:alert(1)"
    pages: list[View] = [
        MessageView("T", "M", links=(PageLink(hostile, "go"),)),
        LoginView("/login", "c", providers=(ProviderLink(hostile, "Kc"),)),
        LoginView("/login", "c", user_name="U", next_page=hostile),
        AppGalleryView("/a", "c", "U", hostile, hostile, "", (), "", "", (AppCard("a", "A", "", hostile, False),)),
    ]
    for view in pages:
        assert b"javascript" not in render(view)


def test_a_logo_is_shown_and_initials_stand_for_a_missing_one() -> None:
    assert page_of(consent(logo="data:image/png;base64,AA==")).one("img").get("src") == "data:image/png;base64,AA=="
    page = page_of(consent(logo="http://plain.example/x.png"))
    assert page.all("img") == []
    assert any("avatar" in e.get("class") and e.text.strip() == "H" for e in page.all("span"))
