"""A development issuer: a key of its own on disk, and tokens signed with it. Never for production."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey


def development_key(path: Path) -> ECKey | RSAKey:
    """The private key in `path`, a JWK; made there on first use (EC, P-256), readable by its owner alone.

    Raises `ValueError`, which names the file, where it holds no private EC or RSA key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process that is quicker has made the key for both.
        with contextlib.suppress(FileExistsError):
            _make(path)
    try:
        member = json.loads(path.read_text(encoding="utf-8"))
        key = RSAKey.import_key(member) if member["kty"] == "RSA" else ECKey.import_key(member)
        if not key.is_private:
            raise ValueError("the key is a public one")
        key.ensure_kid()
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise ValueError(f"{path} holds no private EC or RSA key as a JWK: {error}") from error
    return key


def _make(path: Path) -> None:
    """Whole or not at all: written under another name first, then linked to its own."""
    made = ECKey.generate_key("P-256", private=True, auto_kid=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            json.dump(made.as_dict(private=True), file)
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def algorithm_of(key: ECKey | RSAKey) -> str:
    """What the key signs with: an algorithm that every issuer accepts by default."""
    if isinstance(key, RSAKey):
        return "RS256"
    return {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.curve_name]


def public_jwks(key: ECKey | RSAKey) -> dict[str, Any]:
    """The JWKS that verifies what the key signs."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": algorithm_of(key)}]}


def mint(key: ECKey | RSAKey, claims: Mapping[str, Any]) -> str:
    """A signed access token (RFC 9068 type) with these claims; those that are None are left out."""
    algorithm = algorithm_of(key)
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(
        header, {name: value for name, value in claims.items() if value is not None}, key, algorithms=[algorithm]
    )
