"""Remembered consent: a repeated request needs no second consent page (edge case 26)."""

from dataclasses import dataclass

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest


@dataclass(frozen=True, slots=True)
class Consent:
    """The scopes that the user agreed to, as text, and when, in seconds since the epoch.

    It holds for the user's generation only (`UserState`).
    """

    scope: str
    agreed_at: float
    generation: str = ""


class Consents:
    """Remembered consent per user, client and patient."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, counted from the last consent."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, subject: str, client_id: str, patient: str | None, consent: Consent) -> None:
        """Remember a consent in place of an earlier one."""
        await self._store.put(_key(subject, client_id, patient), encode(consent), self._lifetime)

    async def get(self, subject: str, client_id: str, patient: str | None) -> Consent | None:
        """The remembered consent."""
        return decode(await self._store.get(_key(subject, client_id, patient)), Consent)

    async def delete(self, subject: str, client_id: str, patient: str | None) -> None:
        """Forget the consent: the next request shows the consent page again."""
        await self._store.delete(_key(subject, client_id, patient))


def _key(subject: str, client_id: str, patient: str | None) -> str:
    return store_keys.CONSENT + digest("\n".join((subject, client_id, patient or "")))
