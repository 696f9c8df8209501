"""Granting never widens: request, limits and consent all cover what is granted (SC-33)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.audience import is_fhir_base_url
from gateway.oauth.authorization import User
from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.oauth.granted_scopes import (
    backend_scopes,
    final_scopes,
    grantable_scopes,
    limit_to_offer,
    needs_patient,
    with_both_forms,
)
from gateway.oauth.launch_context import LaunchContext, LaunchContextError, read_launch_context
from gateway.scopes.algebra import covers, covers_all
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import Context, LaunchScope, RefreshScope, ResourceScope, Scope
from gateway.scopes.parse_scopes import parse_scopes
from tests.scopes.strategies import resource_scopes, scopes, steady

several = st.lists(scopes, max_size=5).map(tuple)
limits = st.lists(resource_scopes, max_size=4).map(tuple)
contexts = st.sampled_from([LaunchContext(), LaunchContext(patient="a"), LaunchContext(patient="a", encounter="e")])
users = st.sampled_from([User("u", "U"), User("p", "P", "Patient/a"), User("d", "D", "Practitioner/1")])
implied = LaunchScope("patient")


def client(allowed: tuple[Scope, ...] | None, *, may_refresh: bool = True) -> Client:
    """A client with these registered scopes; None for no limit."""
    return Client("app", "App", AuthenticationMethod.NONE, scopes=allowed, may_refresh=may_refresh)


def uncovered_scopes(granted: tuple[Scope, ...], *bounds: tuple[Scope, ...]) -> list[Scope]:
    """The resource scopes, letter by letter, that some bound does not cover."""
    single = [
        replace(scope, letters=frozenset({letter}), is_v1=False)
        for scope in granted
        if isinstance(scope, ResourceScope)
        for letter in scope.letters
    ]
    return [item for item in single if not all(any(covers(wide, item) for wide in bound) for bound in bounds)]


@pytest.mark.requirement("SC-33", "G-2", "SC-29")
@steady
@given(several, st.none() | several, limits, several, users, contexts, st.booleans())
def test_what_is_granted_lies_within_every_bound(
    asked: tuple[Scope, ...],
    allowed: tuple[Scope, ...] | None,
    user_may: tuple[Scope, ...],
    ticked: tuple[Scope, ...],
    user: User,
    context: LaunchContext,
    may_refresh: bool,
) -> None:
    app = client(allowed, may_refresh=may_refresh)
    offered = grantable_scopes(asked, app, user_may)
    granted = final_scopes(limit_to_offer(offered, ticked), app, user, context)
    bounds = [asked, user_may, offered, ticked, *([allowed] if allowed is not None else [])]
    assert uncovered_scopes(granted, *bounds) == []
    others = {scope for scope in granted if not isinstance(scope, ResourceScope)} - {implied}
    assert others <= set(asked)
    assert others <= set(ticked)
    for scope in granted:
        if isinstance(scope, ResourceScope):
            assert scope.context is not Context.SYSTEM
            assert scope.context is not Context.PATIENT or context.patient is not None
        if isinstance(scope, RefreshScope):
            assert may_refresh
    assert len([scope for scope in granted if isinstance(scope, RefreshScope)]) <= 1
    if implied in granted:
        assert context.patient is not None
        assert implied in asked or any(
            isinstance(scope, ResourceScope) and scope.context is Context.PATIENT for scope in granted
        )


@pytest.mark.requirement("SC-33", "SC-32")
@steady
@given(several, limits, users, contexts)
def test_agreeing_to_everything_is_said_in_words_that_mean_the_same(
    asked: tuple[Scope, ...], user_may: tuple[Scope, ...], user: User, context: LaunchContext
) -> None:
    app = client(None)
    offered = grantable_scopes(asked, app, user_may)
    granted = final_scopes(limit_to_offer(offered, offered), app, user, context)
    read_again = parse_scopes(format_scopes(granted))
    assert read_again.refused == ()
    assert set(read_again.scopes) == set(granted)
    assert needs_patient(granted) <= (context.patient is not None)


@pytest.mark.requirement("BS-3", "BS-4", "edge-79", "edge-80")
@steady
@given(several, several)
def test_a_backend_service_stays_within_its_pre_authorization(
    asked: tuple[Scope, ...], allowed: tuple[Scope, ...]
) -> None:
    granted = backend_scopes(asked, client(allowed))
    assert uncovered_scopes(granted, asked, allowed) == []
    assert all(scope.context is Context.SYSTEM for scope in granted if isinstance(scope, ResourceScope))
    assert {scope for scope in granted if not isinstance(scope, ResourceScope)} <= set(asked) & set(allowed)
    assert backend_scopes(asked, client(None)) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
member_names = st.sampled_from(
    ["patient", "encounter", "fhirContext", "need_patient_banner", "intent", "smart_style_url", "tenant", "appContext",
     "access_token", "scope", "__own", "https://ehr.example/own"]
)  # fmt: skip
items = st.dictionaries(
    st.sampled_from(["reference", "canonical", "identifier", "type", "role", "x"]),
    json_values | st.sampled_from(["List/1", "Patient/1", "launch", "https://x.example/role", "List"]),
)


@pytest.mark.requirement("LC-9", "LC-14", "LC-15", "LC-20")
@steady
@given(st.dictionaries(member_names | st.text(max_size=8), json_values | st.lists(items, max_size=3), max_size=5))
def test_no_context_of_a_launcher_breaks_the_reading_nor_says_more_than_context(members: dict[str, object]) -> None:
    try:
        context = read_launch_context(members)
    except LaunchContextError as error:
        assert error.problems
        return
    told = context.parameters()
    assert told == {
        name: value for name, value in members.items() if value is not None and (name, value) != ("fhirContext", [])
    }
    assert not {"access_token", "refresh_token", "id_token", "scope", "expires_in", "token_type"} & set(told)
    for item in told.get("fhirContext", []):
        assert {"reference", "canonical", "identifier"} & set(item)
        assert item.get("role") != ""


@steady
@given(st.text() | st.text(alphabet="htps:/@.%#?[]gw example0").map("https://gw".__add__))
def test_no_audience_breaks_the_comparison(audience: str) -> None:
    if is_fhir_base_url(audience, "https://gw.example/fhir"):
        assert audience.lower().startswith("https://gw.example")


@pytest.mark.requirement("A-8", "edge-14")
@pytest.mark.parametrize(
    ("audience", "ours"),
    [
        ("https://gw.example/fhir", True),
        ("https://gw.example/fhir/", True),
        ("HTTPS://GW.example:443/fhir", True),
        ("https://gw.example:0/fhir", False),
        ("https://gw.example:/fhir", True),
        ("https://gw.example/fhir//", False),
        ("https://gw.example/FHIR", False),
        ("https://gw.example./fhir", False),
        ("https://gw.example/fhir?", False),
        ("https://gw.example/fhir#", False),
        ("https://gw.example/fhir;", False),
        ("https://gw.example\\fhir", False),
        ("https://user@gw.example/fhir", False),
        ("http://gw.example:443/fhir", False),
        ("//gw.example/fhir", False),
        ("https://gw.example/fh\nir", False),
        ("https://ｇw.example/fhir", False),  # noqa: RUF001  # a wide letter, which a browser would make narrow
        ("", False),
    ],
)
def test_our_base_is_known_in_these_spellings_alone(audience: str, ours: bool) -> None:
    assert is_fhir_base_url(audience, "https://gw.example/fhir") is ours


@pytest.mark.requirement("SC-9", "SC-14")
@pytest.mark.parametrize(
    ("requested", "granted", "echoed"),
    [
        ("patient/A.read patient/A.rs", "patient/A.read", "patient/A.read patient/A.rs"),
        ("patient/A.rs patient/A.read", "patient/A.rs", "patient/A.rs patient/A.read"),
        ("user/*.cruds user/*.*", "user/*.*", "user/*.* user/*.cruds"),
        ("patient/A.read patient/A.rs", "patient/A.rs?code=1", "patient/A.rs?code=1"),
        ("patient/A.read patient/A.r patient/A.s", "patient/A.read", "patient/A.read"),
        ("patient/A.read user/A.rs", "patient/A.read user/A.rs", "patient/A.read user/A.rs"),
        ("openid patient/A.read", "openid patient/A.read", "openid patient/A.read"),
        ("patient/A.read patient/A.rs", "", ""),
    ],
)  # fmt: skip
def test_what_was_requested_in_both_forms_is_echoed_in_both(requested: str, granted: str, echoed: str) -> None:
    def parse(text: str) -> tuple[Scope, ...]:
        return parse_scopes(text.replace("/A", "/Observation")).scopes

    assert with_both_forms(parse(granted), parse(requested)) == parse(echoed)


@steady
@given(several, several)
def test_an_echoed_form_permits_nothing_more(granted: tuple[Scope, ...], requested: tuple[Scope, ...]) -> None:
    echoed = with_both_forms(granted, requested)
    assert covers_all(granted, echoed)
    assert [scope for scope in echoed if scope in granted] == list(dict.fromkeys(granted))
