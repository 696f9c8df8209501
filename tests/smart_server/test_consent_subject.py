"""The consent page shows nothing that the digest in its form token does not cover."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from gateway.oauth.authorization import User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.oauth.launch_context import LaunchContext
from gateway.oauth.purpose_of_use import OfferedPurpose
from gateway.pages.views import ConsentSubject, ConsentView
from gateway.scopes.parse_scopes import parse_scopes
from gateway.smart_server.authorize.consent_form import consent_view
from gateway.smart_server.authorize.consent_subject import OfferBeside, consent_subject
from gateway.smart_server.authorize.form_token import consent_snapshot, read_snapshot
from gateway.storage.transactions import Transaction

SCOPES = parse_scopes("openid offline_access patient/*.rs patient/Observation.rs").scopes
CLIENT = Client("app", "Heartline", AuthenticationMethod.NONE, purpose="Shows blood pressure.", logo="https://l/l.png")
BESIDE = OfferBeside((OfferedPurpose("teaching", "Teaching"),), keeps_state=True)
FORM_STATE = {"action", "csrf", "problem", "remember", "may_remember", "another_patient", "switch_user", "purpose"}
"""The other fields of a consent page, which are only the state of its form."""


@pytest.fixture
def transaction() -> Transaction:
    """A request that a patient has signed in to."""
    request = AuthorizationRequest("app", "https://app.example/", "openid", "https://fhir.example")
    return Transaction(
        "id", request, "browser", "secret", 0.0,
        context=LaunchContext(patient="p1"), user=User("amelia", "Amelia", "Patient/p1"),
        patient_name="Amelia", patient_detail="born 1962",
    )  # fmt: skip


def variations(value: Any) -> Iterator[Any]:
    """The value with one leaf changed, for each of its leaves."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for variation in variations(getattr(value, field.name)):
                yield replace(value, **{field.name: variation})
    elif isinstance(value, tuple):
        yield (*value, "one more")
        for index, item in enumerate(value):
            for variation in variations(item):
                yield (*value[:index], variation, *value[index + 1 :])
    else:
        yield not value if isinstance(value, bool) else value * 2 + type(value)(1)


def test_everything_that_a_consent_page_shows_is_under_the_digest_of_its_form(transaction: Transaction) -> None:
    """A new fact on the page must be added to `ConsentSubject`, or this test fails."""
    assert {field.name for field in fields(ConsentView)} - FORM_STATE == {"subject"}
    view = consent_view(transaction, CLIENT, SCOPES, lambda *_: "/", "", BESIDE)
    assert view.subject == consent_subject(transaction, CLIENT, SCOPES, BESIDE)
    shown = read_snapshot(view.csrf)
    assert shown == consent_snapshot(transaction, view.subject)
    assert shown.digests.keys() >= {field.name for field in fields(ConsentSubject)}
    varied = list(variations(view.subject))
    assert len(varied) > 100
    assert all(consent_snapshot(transaction, subject) != shown for subject in varied)
