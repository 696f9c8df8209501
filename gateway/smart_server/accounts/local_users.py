"""The users who may sign in: local ones with a password, and those of providers and launchers."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.credentials.passwords import PasswordChecker
from gateway.oauth.authorization import LOCAL_PROVIDER, User
from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.storage.accounts.registrations import Registrations
from gateway.storage.accounts.user_states import UserStates
from gateway.storage.batches import run_in_batches


class LocalUsers:
    """Finds local users by name: those of the configuration first, then those added by the admin API.

    Of users of other providers it knows whether they may still sign in, and whether a sign-in of theirs still counts.
    """

    def __init__(
        self,
        configured: Sequence[LocalUserEntry],
        registrations: Registrations,
        states: UserStates,
        passwords: PasswordChecker,
        other_providers: frozenset[str],
        sign_in_hint: str = "",
    ) -> None:
        """`sign_in_hint` is shown on the sign-in page, such as the user names of a demo.

        `other_providers` are the OpenID providers and launchers whose users are known (`User.provider`).
        """
        self.sign_in_hint = sign_in_hint
        self._configured = {entry.username: entry for entry in configured}
        self._registrations = registrations
        self._states = states
        self._passwords = passwords
        self._other_providers = other_providers

    async def authenticate(self, username: str, password: str) -> User | None:
        """The user, if the password is correct. An unknown user name takes as long as a wrong password."""
        # Read before the password: a sign-in with a password that is replaced meanwhile is of the earlier generation.
        state = await self._states.get(username)
        entry = await self.find_entry(username)
        is_correct = await self._passwords.matches(password, entry.password_hash if entry is not None else None)
        if entry is None or not is_correct or state.disabled:
            return None
        return replace(_as_user(entry), generation=state.generation)

    def is_configured(self, username: str) -> bool:
        """Whether the user is in the configuration. Then the user can only be changed there."""
        return username in self._configured

    @property
    def has_configured_users(self) -> bool:
        """Whether the configuration has local users."""
        return bool(self._configured)

    async def find(self, username: str) -> User | None:
        """The user of that name, disabled or not."""
        entry = await self.find_entry(username)
        return None if entry is None else _as_user(entry)

    async def admit(self, user: User) -> User | None:
        """The user, for a sign-in that begins now; None if they are disabled."""
        state = await self._states.get(user.subject)
        return None if state.disabled else replace(user, generation=state.generation)

    async def reload(self, user: User) -> User | None:
        """A signed-in user as of now; None if they are gone or disabled, or if their sign-in was ended.

        An operator may have replaced the user since the sign-in.
        """
        state = await self._states.get(user.subject)
        if state.disabled or state.generation != user.generation:
            return None
        if user.provider != LOCAL_PROVIDER:
            return user if user.provider in self._other_providers else None
        entry = await self.find_entry(user.subject)
        return None if entry is None else replace(_as_user(entry), generation=user.generation)

    async def list_entries(self) -> list[LocalUserEntry]:
        """The entries of all local users, by name."""
        entries = await run_in_batches(self.find_entry, sorted(await self.list_usernames()))
        return [entry for entry in entries if entry is not None]

    async def list_usernames(self) -> frozenset[str]:
        """The names of all local users."""
        return await self._registrations.list_usernames() | self._configured.keys()

    async def find_entry(self, username: str) -> LocalUserEntry | None:
        """The entry of the user of that name, disabled or not."""
        return self._configured.get(username) or await self._registrations.get_user(username)


def _as_user(user: LocalUserEntry) -> User:
    """The user without the password hash."""
    return User(subject=user.username, name=user.name, fhir_user=user.fhir_user, roles=user.roles)
