"""Proof Key for Code Exchange, only S256 (RFC 7636; checklist PK-1, PK-2, T-15)."""

import base64
import hashlib
import hmac
import re

METHOD = "S256"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def is_challenge(text: str) -> bool:
    """Whether the text has the form of an S256 challenge: base64url of 32 bytes, without padding."""
    return _CHALLENGE.fullmatch(text) is not None


def code_challenge(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def verifier_matches(verifier: str, challenge: str) -> bool:
    """Whether the verifier is well-formed and matches the challenge (edge case 47)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    return hmac.compare_digest(code_challenge(verifier), challenge)
