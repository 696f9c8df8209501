"""Local users: who signs in here with a password."""

from collections.abc import Sequence

from gateway.keys.passwords import PasswordChecker
from gateway.oauth.authorization import LOCAL, User
from gateway.storage.registrations import LocalUser, Registrations


class Users:
    """The users of the configuration first, then those that were added."""

    def __init__(
        self,
        configured: Sequence[LocalUser],
        registrations: Registrations,
        passwords: PasswordChecker,
        hint: str = "",
    ) -> None:
        """`hint` stands on the sign-in page, as the names of a demo do."""
        self.hint = hint
        self._configured = {one.username: one for one in configured}
        self._registrations = registrations
        self._passwords = passwords

    async def sign_in(self, username: str, password: str) -> User | None:
        """The user, if the password is right; a wrong name takes as long as a wrong password."""
        known = await self._look_up(username)
        right = await self._passwords.matches(password, known.password_hash if known is not None else None)
        return as_user(known) if known is not None and right else None

    def is_configured(self, username: str) -> bool:
        """Whether the configuration names the user, who can therefore only be changed there."""
        return username in self._configured

    @property
    def any_local(self) -> bool:
        """Whether the configuration has users who sign in here."""
        return bool(self._configured)

    async def find(self, username: str) -> User | None:
        """The user of that name, for a launcher that vouches for somebody."""
        known = await self._look_up(username)
        return None if known is None else as_user(known)

    async def current(self, user: User) -> User | None:
        """The user as they are now, None if there is no such user any more; who signs in elsewhere is not known here.

        What was remembered of a user at their login is no promise: an operator may have put another in their place.
        """
        return await self.find(user.subject) if user.provider == LOCAL else user

    async def _look_up(self, username: str) -> LocalUser | None:
        return self._configured.get(username) or await self._registrations.user(username)


def as_user(user: LocalUser) -> User:
    """The user as the protocol sees them."""
    return User(subject=user.username, name=user.name, fhir_user=user.fhir_user)
