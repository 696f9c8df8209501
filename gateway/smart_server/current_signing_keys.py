"""The signing keys of this worker: from a file of the configuration, or the shared keys of the store."""

from dataclasses import dataclass

from gateway.credentials.signing_key import SigningKey, SigningKeys, generate_key, parse_key
from gateway.storage.backends.store import StoreUnavailableError
from gateway.storage.signing_keys import SigningKeyStore, StoredSigningKey, StoredSigningKeys


@dataclass(slots=True)
class CurrentSigningKeys:
    """The keys in use. Keys from a file are never reloaded or rotated here.

    `loaded` is None until the keys of the store have been read for the first time.
    """

    loaded: SigningKeys | None
    is_from_file: bool

    @property
    def keys(self) -> SigningKeys:
        """The keys. Raises `StoreUnavailableError` while they are not known: nothing is signed or published then."""
        if self.loaded is None:
            raise StoreUnavailableError("The signing keys have not been read yet.")
        return self.loaded

    async def reload(self, store: SigningKeyStore, now: float) -> None:
        """Read the keys of the store, unless they are from a file. Raises `StoreUnavailableError`.

        The first worker that finds none creates one, which signs from `now` on, in seconds since the epoch.
        """
        if not self.is_from_file:
            self.use(await store.load(lambda: StoredSigningKey(generate_key(), now)))

    def use(self, stored: StoredSigningKeys) -> None:
        """Sign and publish with these keys from now on."""
        self.loaded = SigningKeys([SigningKey(parse_key(key.jwk), key.signs_from) for key in stored.keys])
