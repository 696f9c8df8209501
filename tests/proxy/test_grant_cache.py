"""Tokens share a grant if they permit the same, and only then."""

from dataclasses import replace

import pytest

from gateway.fhir.reference import Reference
from gateway.policy.permission.access import Access
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.proxy.grant_cache import GrantCache
from gateway.proxy.user_reach.user_compartments import UserCompartments
from gateway.scopes.parse_scopes import parse_scopes

TEXT = "patient%2fObservation.rs"
RULES = Rules("https://gateway.example/fhir", "http://upstream.example/fhir")
ACCESS = Access("https://a.example", "app", "someone", parse_scopes("patient/*.rs").scopes, 0.0, patient="A")


def grants() -> GrantCache:
    """A grant cache whose users are never looked up."""
    users = UserCompartments(None, RULES, lifetime=60, max_patients=10)  # type: ignore[arg-type]
    return GrantCache(RULES, users, entries=10)


def test_tokens_that_permit_the_same_share_a_grant_whatever_the_client() -> None:
    memory = grants()
    assert memory.for_access(ACCESS) is memory.for_access(
        replace(ACCESS, client_id="other", issuer="https://b.example")
    )


DIFFERENT = {
    "another patient": {"patient": "B"},
    "no patient": {"patient": None, "patient_problem": Reason.PATIENT_CONTEXT_INVALID},
    "a user": {"user": Reference("Practitioner", "1")},
    "other scopes": {"scopes": parse_scopes("patient/*.r").scopes},
    "the same scopes in another order": {"scopes": parse_scopes("patient/*.rs openid").scopes},
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT)
def test_tokens_that_permit_something_else_do_not(change: dict[str, object]) -> None:
    memory = grants()
    assert memory.for_access(ACCESS) is not memory.for_access(replace(ACCESS, **change))  # type: ignore[arg-type]


def test_one_text_that_two_issuers_read_differently_is_two_grants() -> None:
    memory = grants()
    strict = replace(ACCESS, scope_text=TEXT, scopes=parse_scopes(TEXT).scopes)
    lenient = replace(ACCESS, scope_text=TEXT, scopes=parse_scopes(TEXT, decode_slash=True).scopes)
    assert memory.for_access(lenient).id_search_permission("Observation")
    assert not memory.for_access(strict).id_search_permission("Observation")


def test_what_the_server_cannot_narrow_by_makes_every_grant_anew() -> None:
    memory = grants()
    before = memory.for_access(ACCESS)
    assert memory.set_unsupported_parameters({"Observation": frozenset({"patient"})})
    assert memory.for_access(ACCESS) is not before
    assert not memory.set_unsupported_parameters({"Observation": frozenset({"patient"})})


def test_the_memory_is_bounded() -> None:
    memory = grants()
    held = [replace(ACCESS, patient=str(number)) for number in range(50)]
    for access in held:
        memory.for_access(access)
    assert memory.for_access(held[-1]).access.patient == "49"
    assert memory.for_access(held[0]).access.patient == "0"
