"""The development key: created once, private, and usable for tokens that the gateway accepts."""

import json
import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey

from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token, signature_algorithm
from gateway.credentials.issuer_keys import IssuerKeys
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import TokenVerifier
from tests.credentials.signed_tokens import NOW, StubDocument, make_issuer, private_key, valid_claims


async def no_fetch(url: str) -> StubDocument:
    raise AssertionError(url)


async def is_accepted(key_file: Path) -> bool:
    """Whether the JWK Set of the key verifies a token that is signed with it."""
    key = load_or_create_key(key_file)
    jwks_file = key_file.with_name("jwks.json")
    jwks_file.write_text(json.dumps(public_jwks(key)), encoding="ascii")
    verifier = TokenVerifier(make_issuer(), IssuerKeys(url=None, file=str(jwks_file), fetch=no_fetch))
    token = parse_token(sign_access_token(key, {**valid_claims(), "fhirUser": None}))
    assert token.header["typ"] == "at+jwt"
    return await verifier.verify(token, NOW) == valid_claims()


async def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "key.json"
    first = load_or_create_key(path)
    assert load_or_create_key(path).thumbprint() == first.thumbprint()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key.json"]
    assert await is_accepted(path)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
async def test_a_key_that_lies_there_is_used(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(private_key(algorithm).as_dict(private=True)), encoding="ascii")
    assert signature_algorithm(load_or_create_key(path)) == algorithm
    assert await is_accepted(path)


def test_the_public_set_holds_nothing_private(tmp_path: Path) -> None:
    (member,) = public_jwks(load_or_create_key(tmp_path / "key.json"))["keys"]
    assert sorted(member) == ["alg", "crv", "kid", "kty", "use", "x", "y"]


NO_KEYS = {
    "empty": "",
    "no JSON": "-----BEGIN PRIVATE KEY-----",
    "a list": "[]",
    "a public key": json.dumps(private_key("ES256").as_dict(private=False)),
    "a symmetric key": json.dumps(OctKey.generate_key(256).as_dict(private=True)),
    "half a key": json.dumps({"kty": "EC", "crv": "P-256"}),
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_a_file_that_holds_no_private_key_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text, encoding="ascii")
    with pytest.raises(ValueError, match=r"key\.json holds no private"):
        load_or_create_key(path)


def test_the_quicker_of_two_processes_makes_the_key_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.json"
    quicker = ECKey.generate_key("P-256", private=True)

    def exists(self: Path) -> bool:
        self.write_text(json.dumps(quicker.as_dict(private=True)), encoding="ascii")
        return False

    monkeypatch.setattr(Path, "exists", exists)
    assert load_or_create_key(path).thumbprint() == quicker.thumbprint()
