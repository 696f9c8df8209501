"""What may be used once: client assertions by issuer and `jti` (CA-7, edge cases 71-72)."""

from gateway.storage.handles import digest
from gateway.storage.store import Store


class Replays:
    """All assertions that were used and could still be used again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def first_use(self, issuer: str, jti: str, lifetime: float) -> bool:
        """Whether nobody, in any worker, has used it before. To be asked after the signature is verified."""
        return await self._store.put_new(f"jti:{digest(f'{len(issuer)}:{issuer}{jti}')}", b"", max(lifetime, 1.0))
