"""A development issuer: a key in a file, and access tokens signed with it. Never for production."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey


def load_or_create_key(path: Path) -> ECKey | RSAKey:
    """The private key in the JWK file `path`. On first use, a new EC P-256 key that only the file's owner can read.

    Raises `ValueError`, which names the file, if it holds no private EC or RSA key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have created the file at the same time; then both use its key.
        with contextlib.suppress(FileExistsError):
            _create_key_file(path)
    try:
        jwk = json.loads(path.read_text(encoding="utf-8"))
        key = RSAKey.import_key(jwk) if jwk["kty"] == "RSA" else ECKey.import_key(jwk)
        if not key.is_private:
            raise ValueError("the key is a public one")
        key.ensure_kid()
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise ValueError(f"{path} holds no private EC or RSA key as a JWK: {error}") from error
    return key


def _create_key_file(path: Path) -> None:
    """Write a new key to a temporary file and link that to `path`, so that nobody reads a partial file."""
    key = ECKey.generate_key("P-256", private=True, auto_kid=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(key.as_dict(private=True), file)
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def signature_algorithm(key: ECKey | RSAKey) -> str:
    """The algorithm that the key signs with, one that the settings of an issuer accept by default."""
    if isinstance(key, RSAKey):
        return "RS256"
    return {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.curve_name]


def public_jwks(key: ECKey | RSAKey) -> dict[str, Any]:
    """The JWK Set that verifies the tokens signed with the key."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": signature_algorithm(key)}]}


def sign_access_token(key: ECKey | RSAKey, claims: Mapping[str, Any]) -> str:
    """A signed access token (of the RFC 9068 type) with these claims, except those that are None."""
    algorithm = signature_algorithm(key)
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(
        header, {name: value for name, value in claims.items() if value is not None}, key, algorithms=[algorithm]
    )
