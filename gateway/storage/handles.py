"""Secrets that stand for something remembered: unguessable, told apart by their beginning, kept only as digests."""

import hashlib
import secrets
from enum import StrEnum


class Kind(StrEnum):
    """The first letters of a handle: one kind can never pass for another (edge case 62b), and scanners find leaks."""

    ACCESS_TOKEN = "sga_"
    REFRESH_TOKEN = "sgr_"
    CODE = "sgc_"
    LAUNCH = "sgl_"
    OPENING = "sgo_"


def new_handle(kind: Kind) -> str:
    """A new one: 256 random bits in URL-safe characters (authorization.md "Tokens and state")."""
    return kind + secrets.token_urlsafe(32)


def new_id() -> str:
    """A name for something that is no secret by itself: 128 random bits, 22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def digest(handle: str) -> str:
    """What is written in place of a handle, so that whoever reads the store holds no token."""
    return hashlib.sha256(handle.encode()).hexdigest()
