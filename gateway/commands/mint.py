"""Development tokens, and the key that signs them. The key lies beside the configured JWKS file."""

import json
import secrets
import time
from pathlib import Path

from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from gateway.settings.authorization.issuers import Issuer
from gateway.settings.model import Settings


class MintError(Exception):
    """No token can be minted. The message is for the person at the terminal."""


def private_key_path(jwks_file: Path) -> Path:
    """Where the private key of a development JWKS lies: `jwks.json` has `jwks.private.json` beside it."""
    return jwks_file.with_name(f"{jwks_file.stem}.private{jwks_file.suffix}")


def write_development_key(jwks_file: Path) -> None:
    """Make the private key if there is none, and write its public half to `jwks_file`."""
    key = load_or_create_key(private_key_path(jwks_file))
    jwks_file.write_text(json.dumps(public_jwks(key), indent=2) + "\n", encoding="ascii")


def mint_token(
    settings: Settings, *, scope: str, patient: str | None, user: str | None, client: str, lifetime: int
) -> str:
    """A token that this configuration accepts. Raises `MintError`."""
    if not settings.development:
        raise MintError("Tokens are minted only where the configuration says development: true.")
    issuer, path = _development_issuer(settings)
    now = int(time.time())
    claims = {
        "iss": issuer.issuer,
        "aud": issuer.audiences[0],
        "sub": user or client,
        "client_id": client,
        "scope": scope,
        "patient": patient,
        "fhirUser": user,
        "iat": now,
        "exp": now + lifetime,
        "jti": secrets.token_hex(8),
    }
    return sign_access_token(load_or_create_key(path), claims)


def _development_issuer(settings: Settings) -> tuple[Issuer, Path]:
    for issuer in settings.issuers:
        if issuer.jwks_file is not None:
            path = private_key_path(Path(issuer.jwks_file))
            if path.exists():
                return issuer, path
    raise MintError(
        "No issuer has a jwks_file with its private key beside it. "
        "Make one with: smart-gateway development-key config/development-jwks.json"
    )
