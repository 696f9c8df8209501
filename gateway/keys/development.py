"""A development issuer: a key of its own on disk, and tokens signed with it. Never for production."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

ALGORITHM = "ES256"


def development_key(path: Path) -> ECKey:
    """The private key in `path`, made there on first use, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(made.as_dict(private=True)), encoding="ascii")
    return ECKey.import_key(json.loads(path.read_text(encoding="ascii")))


def public_jwks(key: ECKey) -> dict[str, Any]:
    """The JWKS that verifies what the key signs."""
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}]}


def mint(key: ECKey, claims: Mapping[str, Any]) -> str:
    """A signed access token (RFC 9068 type) with these claims; those that are None are left out."""
    header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(header, {name: value for name, value in claims.items() if value is not None}, key)
