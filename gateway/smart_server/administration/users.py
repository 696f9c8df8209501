"""The people who may sign in: what administrators see of them, and what they do with them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from gateway.credentials.passwords import hash_password
from gateway.oauth.authorization import LOCAL_PROVIDER
from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.smart_server.administration.admin_error import AdminRequestError, validation_problems
from gateway.smart_server.administration.record_pages import PAGE_SIZE, RecordPage, read_page
from gateway.smart_server.administration.user_naming import NamedUser, read_user
from gateway.smart_server.dependencies import Dependencies
from gateway.telemetry.server_event import EventKind

# Nobody types more, and argon2 reads all of it.
_MAX_PASSWORD_LENGTH = 1000
_PROFILE_MEMBERS = frozenset({"name", "fhir_user", "roles"})


@dataclass(frozen=True, slots=True)
class UserSummary:
    """A user in a list. `user` is the name of a local user, and the subject of any other."""

    user: str
    name: str
    fhir_user: str | None
    roles: tuple[str, ...]
    disabled: bool
    origin: Literal["configuration", "registration", "provider"]


class ManagedUsers:
    """Lists, adds, changes, disables and removes users. Raises `AdminRequestError` and `StoreUnavailableError`.

    `members` name a user as in `read_user`. Users of the configuration are changed there.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def list(self) -> tuple[UserSummary, ...]:
        """All local users, and disabled users of providers."""
        disabled = await self._dependencies.storage.user_states.list_disabled()
        entries = await self._dependencies.users.list_entries()
        local_users = tuple(self._summarize(entry, disabled=entry.username in disabled) for entry in entries)
        usernames = {entry.username for entry in entries}
        others = tuple(
            UserSummary(subject, state.name, None, (), disabled=True, origin="provider")
            for subject, state in disabled.items()
            if subject not in usernames
        )
        return (*local_users, *others)

    async def page(self, *, search: str = "", after: str = "", limit: int = PAGE_SIZE) -> RecordPage[UserSummary]:
        """Some of these with `search` in a name, in the order of `UserSummary.user`, behind `after`."""
        wanted = search.casefold()

        async def read(subject: str) -> UserSummary | None:
            state = await self._dependencies.storage.user_states.get(subject)
            entry = await self._dependencies.users.find_entry(subject)
            if entry is not None:
                return self._summarize(entry, disabled=state.disabled)
            if not state.disabled:
                return None
            return UserSummary(subject, state.name, None, (), disabled=True, origin="provider")

        def is_wanted(user: UserSummary) -> bool:
            return wanted in user.user.casefold() or wanted in user.name.casefold()

        disabled = await self._dependencies.storage.user_states.list_disabled_subjects()
        subjects = disabled | await self._dependencies.users.list_usernames()
        return await read_page(subjects, read, fits=is_wanted, after=after, limit=limit)

    async def show(self, members: Mapping[str, Any]) -> UserSummary:
        """One local user, or one of a provider, of whom only is known here whether they are disabled."""
        user = await self._read_known_user(members)
        state = await self._dependencies.storage.user_states.get(user.subject)
        entry = await self._dependencies.users.find_entry(user.name) if user.is_local else None
        if entry is not None:
            return self._summarize(entry, disabled=state.disabled)
        return UserSummary(user.subject, state.name or user.name, None, (), state.disabled, origin="provider")

    def _summarize(self, entry: LocalUserEntry, *, disabled: bool) -> UserSummary:
        is_configured = self._dependencies.users.is_configured(entry.username)
        return UserSummary(
            user=entry.username,
            name=entry.name,
            fhir_user=entry.fhir_user,
            roles=entry.roles,
            disabled=disabled,
            origin="configuration" if is_configured else "registration",
        )

    async def add(self, members: dict[str, Any], *, replaces: bool = False) -> str:
        """Add a local user; the name. A known name is refused, unless the user `replaces` one that was added.

        With another password, resource or roles, everything that the replaced user signed in to ends.
        """
        entry = await _read_entry(members)
        if self._dependencies.users.is_configured(entry.username):
            raise AdminRequestError(409, "The configuration has a user of this name.")
        registrations = self._dependencies.storage.registrations
        previous = await registrations.get_user(entry.username)
        if not await registrations.add_user(entry):
            if not replaces:
                raise AdminRequestError(409, f"There is a user {entry.username!r} already, who would be replaced.")
            await registrations.put_user(entry)
        if previous is None or _sign_in(previous) != _sign_in(entry):
            # Also for a new user: somebody else may have had the name.
            await self._dependencies.storage.ends.end_user(entry.username)
        self._dependencies.record_event(EventKind.USER_ADDED, subject=entry.username)
        return entry.username

    async def update(self, username: str, changes: Mapping[str, Any]) -> None:
        """Change `name`, `fhir_user` or `roles` of a local user. With another resource or roles, all sign-ins end."""
        unknown = sorted(changes.keys() - _PROFILE_MEMBERS)
        if unknown:
            raise AdminRequestError(400, f"{unknown[0]}: cannot be changed here; name, fhir_user and roles can")
        previous = await self._find_added_user({"user": username})
        entry = await _read_entry({**previous.model_dump(), **changes})
        await self._replace(previous, entry)
        if _sign_in(previous) != _sign_in(entry):
            await self._dependencies.storage.ends.end_user(username)
        self._dependencies.record_event(EventKind.USER_UPDATED, subject=username)

    async def disable(self, members: Mapping[str, Any]) -> NamedUser:
        """Refuse a user from now on, and end everything that they signed in to and granted."""
        user = await self._read_known_user(members)
        await self._dependencies.storage.user_states.disable(user.subject, str(user))
        return await self._end(user, EventKind.USER_DISABLED)

    async def enable(self, members: Mapping[str, Any]) -> NamedUser:
        """Let a disabled user sign in again."""
        user = await self._read_known_user(members)
        if not await self._dependencies.storage.user_states.enable(user.subject):
            raise AdminRequestError(409, f"{user} is not disabled.")
        self._dependencies.record_event(EventKind.USER_ENABLED, subject=user.subject)
        return user

    async def remove(self, members: Mapping[str, Any]) -> NamedUser:
        """Remove a local user, and end everything that they signed in to and granted."""
        entry = await self._find_added_user(members)
        user, storage = _as_named(entry), self._dependencies.storage
        # Disabled first: until everything has ended, nothing more is granted, and an interruption can be repeated.
        await storage.user_states.disable(user.subject, str(user))
        await storage.ends.end_user(user.subject)
        await storage.registrations.remove_user(user.name)
        await storage.user_states.enable(user.subject)
        self._dependencies.record_event(EventKind.USER_REMOVED, subject=user.subject, reason="administrator")
        return user

    async def set_password(self, members: Mapping[str, Any]) -> NamedUser:
        """Replace the password of a local user, and end everything that they signed in to and granted."""
        user = await self._find_added_user(members)
        changed = user.model_dump(exclude={"password_hash"})
        changed |= {name: members[name] for name in ("password", "password_hash") if name in members}
        entry = await _read_entry(changed)
        await self._replace(user, entry)
        return await self._end(_as_named(entry), EventKind.PASSWORD_SET)

    async def end(self, members: Mapping[str, Any]) -> NamedUser:
        """End everything that a user signed in to and granted. The user may sign in again."""
        user = read_user(members, self._dependencies)
        if user.is_local and await self._dependencies.users.find_entry(user.name) is None:
            storage = self._dependencies.storage
            # It may be the subject of another user, as lists show it.
            sessions, grants = storage.sessions.find_ids_of_user, storage.authorizations.find_ids
            if not await sessions(user.subject) and not await grants(subject=user.subject):
                raise AdminRequestError(404, f"There is no user {user.name!r} with a session or a grant.")
        return await self._end(user, EventKind.USER_ENDED)

    async def _end(self, user: NamedUser, kind: EventKind) -> NamedUser:
        await self._dependencies.storage.ends.end_user(user.subject)
        self._dependencies.record_event(kind, subject=user.subject, reason="administrator")
        return user

    async def _read_known_user(self, members: Mapping[str, Any]) -> NamedUser:
        """A user of a provider, an existing local user, or a disabled one."""
        user = read_user(members, self._dependencies)
        is_disabled = (await self._dependencies.storage.user_states.get(user.subject)).disabled
        if user.is_local and not is_disabled and await self._dependencies.users.find_entry(user.name) is None:
            raise AdminRequestError(404, f"There is no local user {user.name!r}; name the provider of another user.")
        return user

    async def _replace(self, previous: LocalUserEntry, entry: LocalUserEntry) -> None:
        """Store a user in the place of what they were made from. Raises `AdminRequestError` if that is gone."""
        if not await self._dependencies.storage.registrations.replace_user(previous, entry):
            raise AdminRequestError(409, f"The user {entry.username!r} was changed meanwhile. Look at them again.")

    async def _find_added_user(self, members: Mapping[str, Any]) -> LocalUserEntry:
        """The local user that was added while the gateway runs."""
        user = read_user(members, self._dependencies)
        if user.is_local and self._dependencies.users.is_configured(user.name):
            raise AdminRequestError(409, f"The user {user.name!r} is in the configuration, and is changed there.")
        entry = await self._dependencies.users.find_entry(user.name) if user.is_local else None
        if entry is None:
            raise AdminRequestError(404, f"There is no local user {user.name!r}.")
        return entry


def _sign_in(entry: LocalUserEntry) -> tuple[str, str | None, frozenset[str]]:
    """What a sign-in depends on."""
    return entry.password_hash, entry.fhir_user, frozenset(entry.roles)


def _as_named(entry: LocalUserEntry) -> NamedUser:
    return NamedUser(entry.username, entry.username, LOCAL_PROVIDER)


async def _read_entry(members: Mapping[str, Any]) -> LocalUserEntry:
    """The entry of a user, with the hash of `password` if that is given. Raises `AdminRequestError`."""
    body = dict(members)
    password = body.pop("password", None)
    if isinstance(password, str) and password:
        if len(password) > _MAX_PASSWORD_LENGTH:
            raise AdminRequestError(400, f"password: must have at most {_MAX_PASSWORD_LENGTH} characters")
        body["password_hash"] = await asyncio.to_thread(hash_password, password)
    try:
        return LocalUserEntry.model_validate(body)
    except ValidationError as error:
        raise AdminRequestError(400, *validation_problems(error)) from error
