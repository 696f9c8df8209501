"""`/admin/users` and `/admin/sessions`: who may sign in, and the end of what they signed in to."""

import asyncio
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.passwords import hash_password
from gateway.oauth.authorization import LOCAL_PROVIDER
from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.admin.admin_error import AdminRequestError, validation_problems
from gateway.smart_server.admin.user_naming import NamedUser, read_user
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response
from gateway.telemetry.server_event import EventKind


class UserAdministration:
    """Lists, adds, disables and removes users, and ends what they signed in to. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def users(self, request: Request) -> Response:
        """GET: all local users, and disabled users of providers. POST: add a local user.

        A known name is refused, unless the query has `replace=true`. With another password, resource or roles,
        everything that the replaced user signed in to ends.
        """
        return await (self._list() if request.method == "GET" else self._add(request))

    async def disable(self, request: Request) -> Response:
        """POST: refuse a user from now on, and end everything that they signed in to and granted."""
        user = await self._read_known_user(request)
        await self._dependencies.storage.user_states.disable(user.subject, str(user))
        return await self._end(user, EventKind.USER_DISABLED)

    async def enable(self, request: Request) -> Response:
        """POST: let a disabled user sign in again."""
        user = await self._read_known_user(request)
        if not await self._dependencies.storage.user_states.enable(user.subject):
            raise AdminRequestError(409, f"{user} is not disabled.")
        self._dependencies.record_event(EventKind.USER_ENABLED, subject=user.subject)
        return json_response({"user": user.name, "subject": user.subject})

    async def remove(self, request: Request) -> Response:
        """POST: remove a local user, and end everything that they signed in to and granted."""
        entry = await self._find_added_user(await read_json(request))
        user, storage = _as_named(entry), self._dependencies.storage
        # Disabled first: until everything has ended, nothing more is granted, and an interruption can be repeated.
        await storage.user_states.disable(user.subject, str(user))
        await storage.ends.end_user(user.subject)
        await storage.registrations.remove_user(user.name)
        await storage.user_states.enable(user.subject)
        self._dependencies.record_event(EventKind.USER_REMOVED, subject=user.subject, reason="administrator")
        return json_response({"user": user.name, "subject": user.subject})

    async def set_password(self, request: Request) -> Response:
        """POST: replace the password of a local user, and end everything that they signed in to and granted."""
        body = await read_json(request)
        user = await self._find_added_user(body)
        members = user.model_dump(exclude={"password_hash"})
        members |= {name: body[name] for name in ("password", "password_hash") if name in body}
        entry = await _read_entry(members)
        await self._dependencies.storage.registrations.put_user(entry)
        return await self._end(_as_named(entry), EventKind.PASSWORD_SET)

    async def end_sessions(self, request: Request) -> Response:
        """POST: end everything that a user signed in to and granted. The user may sign in again."""
        user = read_user(await read_json(request), self._dependencies)
        if user.is_local and await self._dependencies.users.find_entry(user.name) is None:
            storage = self._dependencies.storage
            # It may be the subject of another user, as lists show it.
            sessions, grants = storage.sessions.find_ids_of_user, storage.authorizations.find_ids
            if not await sessions(user.subject) and not await grants(subject=user.subject):
                raise AdminRequestError(404, f"There is no user {user.name!r} with a session or a grant.")
        return await self._end(user, EventKind.USER_ENDED)

    async def _end(self, user: NamedUser, kind: EventKind) -> Response:
        await self._dependencies.storage.ends.end_user(user.subject)
        self._dependencies.record_event(kind, subject=user.subject, reason="administrator")
        return json_response({"user": user.name, "subject": user.subject})

    async def _list(self) -> Response:
        disabled = await self._dependencies.storage.user_states.list_disabled()
        entries = await self._dependencies.users.list_entries()
        local_users = [
            {
                "user": entry.username,
                "name": entry.name,
                "fhir_user": entry.fhir_user,
                "roles": list(entry.roles),
                "disabled": entry.username in disabled,
                "from": "configuration" if self._dependencies.users.is_configured(entry.username) else "registration",
            }
            for entry in entries
        ]
        usernames = {entry.username for entry in entries}
        others: list[dict[str, object]] = [
            {"user": subject, "name": state.name, "fhir_user": None, "roles": [], "disabled": True, "from": "provider"}
            for subject, state in disabled.items()
            if subject not in usernames
        ]
        return json_response({"users": [*local_users, *others]})

    async def _add(self, request: Request) -> Response:
        entry = await _read_entry(await read_json(request))
        if self._dependencies.users.is_configured(entry.username):
            raise AdminRequestError(409, "The configuration has a user of this name.")
        registrations, replaces = self._dependencies.storage.registrations, is_set(request, "replace")
        previous = await registrations.get_user(entry.username)
        if not await registrations.add_user(entry):
            if not replaces:
                raise AdminRequestError(409, f"There is a user {entry.username!r} already, who would be replaced.")
            await registrations.put_user(entry)
        if previous is None or _sign_in(previous) != _sign_in(entry):
            # Also for a new user: somebody else may have had the name.
            await self._dependencies.storage.ends.end_user(entry.username)
        self._dependencies.record_event(EventKind.USER_ADDED, subject=entry.username)
        return json_response({"username": entry.username}, status=201)

    async def _read_known_user(self, request: Request) -> NamedUser:
        """A user of a provider, an existing local user, or a disabled one."""
        user = read_user(await read_json(request), self._dependencies)
        is_disabled = (await self._dependencies.storage.user_states.get(user.subject)).disabled
        if user.is_local and not is_disabled and await self._dependencies.users.find_entry(user.name) is None:
            raise AdminRequestError(404, f"There is no local user {user.name!r}; name the provider of another user.")
        return user

    async def _find_added_user(self, members: dict[str, Any]) -> LocalUserEntry:
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


async def _read_entry(members: dict[str, Any]) -> LocalUserEntry:
    """The entry of a user, with the hash of `password` if that is given. Raises `AdminRequestError`."""
    body = dict(members)
    password = body.pop("password", None)
    if isinstance(password, str) and password:
        body["password_hash"] = await asyncio.to_thread(hash_password, password)
    try:
        return LocalUserEntry.model_validate(body)
    except ValidationError as error:
        raise AdminRequestError(400, *validation_problems(error)) from error
