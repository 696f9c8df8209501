"""Sealed links hold for tokens that say the same, and for no other."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.policy.grant_digest import grant_digest
from tests.policy.grants import make_grant

ACCESS = make_grant("patient/*.rs", user="Practitioner/1").access
CHANGES: dict[str, dict[str, Any]] = {
    "another app": {"client_id": "other"},
    "another patient": {"patient": "B"},
    "another scope": {"scope_text": "patient/*.r"},
    "a role": {"roles": frozenset({"officer"})},
    "a purpose of use": {"purposes_of_use": frozenset({"officer"})},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_another_token_has_another_digest(changes: dict[str, Any]) -> None:
    assert grant_digest(replace(ACCESS, **changes)) != grant_digest(ACCESS)


def test_a_role_is_no_purpose_and_the_order_does_not_matter() -> None:
    role, purpose = replace(ACCESS, roles=frozenset({"a"})), replace(ACCESS, purposes_of_use=frozenset({"a"}))
    assert grant_digest(role) != grant_digest(purpose)
    assert grant_digest(replace(ACCESS, roles=frozenset("ab"))) == grant_digest(replace(ACCESS, roles=frozenset("ba")))


def test_how_long_a_token_lasts_makes_no_difference() -> None:
    assert grant_digest(replace(ACCESS, expires_at=1.0)) == grant_digest(ACCESS)
