"""What is known of a user beside their entry: whether they may sign in, and since when their sign-ins count."""

from dataclasses import dataclass, replace

from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.batches import run_in_batches
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import new_id

# Longer than anything of an earlier generation lives: sessions, requests in progress and remembered consents.
_LIFETIME_SECONDS = 400 * 86400.0


@dataclass(frozen=True, slots=True)
class UserState:
    """The state of one user.

    `generation` changes when everything that the user has signed in to is ended: what carries an earlier one is over.
    `name` is how an administrator names the user, for lists of disabled users.
    """

    generation: str = ""
    disabled: bool = False
    name: str = ""


class UserStates:
    """The states of all users, by subject. A user without a stored state is enabled and was never ended."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, subject: str) -> UserState:
        """The state of a user. A state that cannot be read disables the user."""
        data = await self._store.get(store_keys.USER_STATE + subject)
        return UserState() if data is None else decode(data, UserState) or UserState(disabled=True)

    async def start_generation(self, subject: str) -> None:
        """From now on, nothing counts that the user signed in to before."""
        key = store_keys.USER_STATE + subject
        while True:
            data = await self._store.get(key)
            state = replace(decode(data, UserState) or UserState(), generation=new_id())
            lifetime = None if state.disabled else _LIFETIME_SECONDS
            if data is None:
                is_stored = await self._store.put_new(key, encode(state), lifetime)
            else:
                is_stored = await self._store.replace(key, data, encode(state), lifetime)
            if is_stored:
                return

    async def disable(self, subject: str, name: str) -> None:
        """Refuse the user until `enable`. Starts a generation."""
        state = UserState(new_id(), disabled=True, name=name)
        await self._store.put(store_keys.USER_STATE + subject, encode(state), None)
        await self._store.add_member(store_keys.DISABLED_USERS, subject, None)

    async def enable(self, subject: str) -> bool:
        """Let the user sign in again. Return whether the user was disabled. Starts a generation."""
        was_disabled = (await self.get(subject)).disabled
        await self._store.put(store_keys.USER_STATE + subject, encode(UserState(new_id())), _LIFETIME_SECONDS)
        await self._store.remove_member(store_keys.DISABLED_USERS, subject)
        return was_disabled

    async def list_disabled_subjects(self) -> frozenset[str]:
        """The subjects of all disabled users, and of some who were enabled at this moment."""
        return await self._store.members(store_keys.DISABLED_USERS)

    async def list_disabled(self) -> dict[str, UserState]:
        """The states of all disabled users, by subject."""
        subjects = sorted(await self.list_disabled_subjects())
        states = await run_in_batches(self.get, subjects)
        return {subject: state for subject, state in zip(subjects, states, strict=True) if state.disabled}
