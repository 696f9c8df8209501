"""Granting never widens: whatever was asked, allowed and ticked, all of them cover what is granted (SC-33)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.audience import is_our_base
from gateway.oauth.authorization import User
from gateway.oauth.client import AuthenticationMethod, Client
from gateway.oauth.granting import agreed, backend_scopes, grantable, needs_patient, settled
from gateway.oauth.launch_context import ContextError, LaunchContext, read_context
from gateway.scopes.algebra import covers_any
from gateway.scopes.model import Context, LaunchScope, RefreshScope, ResourceScope, Scope
from gateway.scopes.parse import parse_scopes
from gateway.scopes.unparse import unparse
from tests.scopes.strategies import resource_scopes, scopes, steady

several = st.lists(scopes, max_size=5).map(tuple)
limits = st.lists(resource_scopes, max_size=4).map(tuple)
contexts = st.sampled_from([LaunchContext(), LaunchContext(patient="a"), LaunchContext(patient="a", encounter="e")])
users = st.sampled_from([User("u", "U"), User("p", "P", "Patient/a"), User("d", "D", "Practitioner/1")])
implied = LaunchScope("patient")


def client(allowed: tuple[Scope, ...] | None, *, may_refresh: bool = True) -> Client:
    """A client that may be granted this, or whatever its user may."""
    return Client("app", "App", AuthenticationMethod.NONE, scopes=allowed, may_refresh=may_refresh)


def not_covered(granted: tuple[Scope, ...], *bounds: tuple[Scope, ...]) -> list[Scope]:
    """What of the resource scopes, letter by letter, one of the bounds does not say to be allowed."""
    single = [
        replace(one, letters=frozenset({letter}), v1=False)
        for one in granted
        if isinstance(one, ResourceScope)
        for letter in one.letters
    ]
    return [one for one in single if not all(covers_any(bound, one) for bound in bounds)]


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
    offered = grantable(asked, app, user_may)
    granted = settled(agreed(offered, ticked), app, user, context)
    bounds = [asked, user_may, offered, ticked, *([allowed] if allowed is not None else [])]
    assert not_covered(granted, *bounds) == []
    others = {one for one in granted if not isinstance(one, ResourceScope)} - {implied}
    assert others <= set(asked)
    assert others <= set(ticked)
    for one in granted:
        if isinstance(one, ResourceScope):
            assert one.context is not Context.SYSTEM
            assert one.context is not Context.PATIENT or context.patient is not None
        if isinstance(one, RefreshScope):
            assert may_refresh
    assert len([one for one in granted if isinstance(one, RefreshScope)]) <= 1
    if implied in granted:
        assert context.patient is not None
        assert implied in asked or any(
            isinstance(one, ResourceScope) and one.context is Context.PATIENT for one in granted
        )


@pytest.mark.requirement("SC-33", "SC-32")
@steady
@given(several, limits, users, contexts)
def test_agreeing_to_everything_is_said_in_words_that_mean_the_same(
    asked: tuple[Scope, ...], user_may: tuple[Scope, ...], user: User, context: LaunchContext
) -> None:
    app = client(None)
    offered = grantable(asked, app, user_may)
    granted = settled(agreed(offered, offered), app, user, context)
    read_again = parse_scopes(unparse(granted))
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
    assert not_covered(granted, asked, allowed) == []
    assert all(one.context is Context.SYSTEM for one in granted if isinstance(one, ResourceScope))
    assert {one for one in granted if not isinstance(one, ResourceScope)} <= set(asked) & set(allowed)
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
        context = read_context(members)
    except ContextError as error:
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
    if is_our_base(audience, "https://gw.example/fhir"):
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
    assert is_our_base(audience, "https://gw.example/fhir") is ours
