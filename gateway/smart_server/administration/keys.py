"""The keys that sign id_tokens: which are published, and their rotation."""

from dataclasses import dataclass

from gateway.credentials.signing_key import PUBLISHED_AHEAD_SECONDS, generate_key
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.signing_keys import StoredSigningKey, StoredSigningKeys
from gateway.telemetry.server_event import EventKind


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key of the JWKS. `signs_from` is in seconds since the epoch, and 0 for a key from a file."""

    kid: str
    signs_from: float
    signs_now: bool


class ManagedKeys:
    """Lists and rotates the keys. Raises `AdminRequestError` and `StoreUnavailableError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def list(self) -> tuple[PublishedKey, ...]:
        """The published keys, the oldest first."""
        dependencies = self._dependencies
        await dependencies.signing_keys.reload(dependencies.storage.signing_keys, dependencies.clock())
        times = dependencies.signing_keys.keys.signing_times(dependencies.clock())
        return tuple(PublishedKey(kid, signs_from, signs_now) for kid, signs_from, signs_now in times)

    async def rotate(self, *, at_once: bool = False) -> tuple[PublishedKey, ...]:
        """Create the next signing key. It is published now and signs in an hour.

        `at_once`: it signs now, and all others are neither published nor used any more: one of them has leaked.
        """
        dependencies, store = self._dependencies, self._dependencies.storage.signing_keys
        if dependencies.signing_keys.is_from_file:
            raise AdminRequestError(409, "The signing key is in a file of the configuration. Rotate it there.")
        now = dependencies.clock()
        if at_once:
            return await self._use(await store.replace_at_once(StoredSigningKey(generate_key(), now)), "at once")
        next_key = StoredSigningKey(generate_key(), now + PUBLISHED_AHEAD_SECONDS)
        lifetimes = [client.access_token_lifetime or 0 for client in await dependencies.clients.list_all()]
        longest = max(dependencies.lifetimes.access_token_seconds, *lifetimes, 0)
        return await self._use(await store.rotate(next_key, forget_before=now - longest), None)

    async def _use(self, keys: StoredSigningKeys, reason: str | None) -> tuple[PublishedKey, ...]:
        self._dependencies.signing_keys.use(keys)
        self._dependencies.record_event(EventKind.KEYS_ROTATED, reason=reason)
        return await self.list()
