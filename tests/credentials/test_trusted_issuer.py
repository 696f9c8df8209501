"""An issuer with contradictory values is refused."""

from typing import Any

import pytest

from tests.credentials.signed_tokens import introspection_settings, make_issuer

INTROSPECTION = introspection_settings("https://issuer.example/introspect", "the-secret")

CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no way to check a token": ({"jwks_url": None}, "exactly one"),
    "a key set and introspection": ({"introspection": INTROSPECTION}, "exactly one"),
    "a URL and a file": ({"jwks_file": "jwks.json"}, "exactly one"),
    "no audience": ({"audiences": frozenset()}, "audience"),
    "the algorithm none": ({"algorithms": ("RS256", "none")}, "'none'"),
    "a shared key": ({"algorithms": ("HS256",)}, "'HS256'"),
    "a type in upper case": ({"accepted_types": frozenset({"JWT"})}, "lower case"),
}


@pytest.mark.parametrize(("changes", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make_issuer(**changes)
    assert "https://issuer.example" in str(caught.value)


def test_the_secret_shows_in_no_log() -> None:
    issuer = make_issuer(jwks_url=None, introspection=INTROSPECTION)
    assert "the-secret" not in repr(issuer)
    assert INTROSPECTION.client_secret.get_secret_value() == "the-secret"
