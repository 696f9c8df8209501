"""What a user agreed to before, so that the same request needs no second question (edge case 26)."""

from gateway.storage.handles import digest
from gateway.storage.store import Store


class Consents:
    """Remembered consent per user, client and patient: never beyond what was agreed."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, from the last agreement."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, subject: str, client_id: str, patient: str | None, scope: str) -> None:
        """Remember the scopes that were agreed to."""
        await self._store.put(_key(subject, client_id, patient), scope.encode(), self._lifetime)

    async def get(self, subject: str, client_id: str, patient: str | None) -> str:
        """The scopes that were agreed to; empty where none were."""
        return (await self._store.get(_key(subject, client_id, patient)) or b"").decode()

    async def forget(self, subject: str, client_id: str, patient: str | None) -> None:
        """Ask again next time."""
        await self._store.delete(_key(subject, client_id, patient))


def _key(subject: str, client_id: str, patient: str | None) -> str:
    return "consent:" + digest("\n".join((subject, client_id, patient or "")))
