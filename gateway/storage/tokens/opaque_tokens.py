"""Opaque tokens: unguessable, distinguished by their prefix, and stored only as digests."""

import hashlib
import secrets
from enum import StrEnum


class TokenKind(StrEnum):
    """The prefix of a token.

    A token of one kind can never pass for another (edge case 62b), and secret scanners find leaked tokens.
    """

    ACCESS_TOKEN = "sga_"
    REFRESH_TOKEN = "sgr_"
    CODE = "sgc_"
    LAUNCH = "sgl_"
    LAUNCH_REDIRECT = "sgo_"


def new_opaque_token(kind: TokenKind) -> str:
    """A new token: 256 random bits in URL-safe characters (authorization.md "Tokens and state")."""
    return kind + secrets.token_urlsafe(32)


def new_id() -> str:
    """A new id, which is no secret by itself: 128 random bits, 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def digest(token: str) -> str:
    """The SHA-256 digest that is stored in place of a token, so that a reader of the store learns no token."""
    return hashlib.sha256(token.encode()).hexdigest()
