"""What a user agreed to before, so that the same request needs no second question (edge case 26)."""

from dataclasses import dataclass

from gateway.storage.handles import digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store


@dataclass(frozen=True, slots=True)
class Consent:
    """The scopes that were agreed to, as their text, and when, in seconds since the epoch."""

    scope: str
    agreed_at: float


class Consents:
    """Remembered consent per user, client and patient: never beyond what was agreed."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, from the last agreement."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, subject: str, client_id: str, patient: str | None, consent: Consent) -> None:
        """Remember what was agreed to."""
        await self._store.put(_key(subject, client_id, patient), encode(consent), self._lifetime)

    async def get(self, subject: str, client_id: str, patient: str | None) -> Consent | None:
        """What was agreed to."""
        return decode(await self._store.get(_key(subject, client_id, patient)), Consent)

    async def forget(self, subject: str, client_id: str, patient: str | None) -> None:
        """Ask again next time."""
        await self._store.delete(_key(subject, client_id, patient))


def _key(subject: str, client_id: str, patient: str | None) -> str:
    return "consent:" + digest("\n".join((subject, client_id, patient or "")))
