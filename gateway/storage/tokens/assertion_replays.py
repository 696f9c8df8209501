"""Client assertions can be used once, by issuer and `jti` (CA-7, edge cases 71-72).

The record of their uses may be lost while the gateway runs: a Redis that is emptied, or restarted without persistence.
What was issued before may have been used, and is refused from then on.
"""

import math

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.tokens.opaque_tokens import digest


class AssertionReplays:
    """All assertions that were used and have not expired."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record_first_use(self, issuer: str, jti: str, lifetime: float) -> bool:
        """Record the use for `lifetime` seconds. Return whether it was the first one in any worker.

        Call it after the signature is verified.
        """
        key = store_keys.CLIENT_ASSERTION + digest(f"{len(issuer)}:{issuer}{jti}")
        return await self._store.put_new(key, b"", max(lifetime, 1.0))

    async def begin_record(self) -> None:
        """Call it at the start: in a store that is new, no assertion was used, however old it is."""
        await self._store.put_new(store_keys.ASSERTIONS_SINCE, b"0", None)

    async def covers(self, issued_at: float, now: float) -> bool:
        """Whether an assertion of that time would be recorded if it was used before. Times in seconds since the epoch.

        Call it after `record_first_use`, so that a loss of the record between the two is noticed.
        """
        since = await self._store.get(store_keys.ASSERTIONS_SINCE)
        if since is None:
            # Whatever is issued from the next second on was not used before the loss.
            await self._store.put_new(store_keys.ASSERTIONS_SINCE, b"%d" % math.ceil(now), None)
            return False
        return issued_at >= int(since)
