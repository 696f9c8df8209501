"""The development key: made once, private, and good for tokens that the gateway accepts."""

import json
import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey

from gateway.keys.development import algorithm_of, development_key, mint, public_jwks
from gateway.keys.jwks import JwksSource
from gateway.keys.token import read_token
from gateway.keys.verify import Verifier
from tests.keys.issuing import NOW, Page, good_claims, private_key, trusted


async def no_fetch(url: str) -> Page:
    raise AssertionError(url)


async def accepted(key_file: Path) -> bool:
    """Whether what the key signs is accepted by the JWKS that is written for it."""
    key = development_key(key_file)
    jwks_file = key_file.with_name("jwks.json")
    jwks_file.write_text(json.dumps(public_jwks(key)), encoding="ascii")
    verifier = Verifier(trusted(), JwksSource(url=None, file=str(jwks_file), fetch=no_fetch))
    token = read_token(mint(key, {**good_claims(), "fhirUser": None}))
    assert token.header["typ"] == "at+jwt"
    return await verifier.claims(token, NOW) == good_claims()


async def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "key.json"
    first = development_key(path)
    assert development_key(path).thumbprint() == first.thumbprint()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["key.json"]
    assert await accepted(path)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
async def test_a_key_that_lies_there_is_used(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(private_key(algorithm).as_dict(private=True)), encoding="ascii")
    assert algorithm_of(development_key(path)) == algorithm
    assert await accepted(path)


def test_the_public_set_holds_nothing_private(tmp_path: Path) -> None:
    (member,) = public_jwks(development_key(tmp_path / "key.json"))["keys"]
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
        development_key(path)


def test_the_quicker_of_two_processes_makes_the_key_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.json"
    quicker = ECKey.generate_key("P-256", private=True)

    def exists(self: Path) -> bool:
        self.write_text(json.dumps(quicker.as_dict(private=True)), encoding="ascii")
        return False

    monkeypatch.setattr(Path, "exists", exists)
    assert development_key(path).thumbprint() == quicker.thumbprint()
