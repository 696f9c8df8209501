"""The digest of a grant, to which sealed links are bound."""

import hashlib

import orjson

from gateway.policy.permission.access import Access


def grant_digest(access: Access) -> bytes:
    """A digest of everything in which two tokens with the same grant agree."""
    user = str(access.user)
    parts: list[object] = [access.issuer, access.client_id, access.subject, access.patient, user, access.scope_text]
    if access.roles or access.purposes_of_use:
        parts += [sorted(access.roles), sorted(access.purposes_of_use)]
    return hashlib.sha256(orjson.dumps(parts)).digest()
