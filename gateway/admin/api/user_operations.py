"""`/api/users` and `/api/sessions`: the people who may sign in, and the browsers in which they are signed in."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.admin.api.operation import Call, NoQuery, Operation, action, read
from gateway.admin.api.values import JsonObject, ListQuery, Name, Provider, ReplaceQuery, UserQuery
from gateway.smart_server.administration.record_pages import RecordPage
from gateway.smart_server.administration.user_sessions import ManagedSessions
from gateway.smart_server.administration.users import ManagedUsers, UserSummary
from gateway.storage.sessions import SessionFacts

_ONE = "/users/{user}"


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password that a user has from now on."""

    password: Annotated[str, Meta(min_length=1, max_length=1000)]


class SessionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose sessions."""

    user: Name
    provider: Provider | None = None


class SessionList(msgspec.Struct, frozen=True):
    """The sessions of a user, the latest first."""

    sessions: tuple[SessionFacts, ...]


class UserOperations:
    """What administrators do with users. A user is named by `user` in the path, and `provider` in the query."""

    def __init__(self, users: ManagedUsers, sessions: ManagedSessions) -> None:
        self._users = users
        self._sessions = sessions

    def operations(self) -> Iterator[Operation]:
        """The operations."""
        yield read("/users", "listUsers", "The local users, and disabled users of providers.", self._list,
                   RecordPage[UserSummary], query=ListQuery)  # fmt: skip
        yield Operation(
            "POST", "/users", "addUser", "Add a local user.", self._add, UserSummary, query=ReplaceQuery,
            body=JsonObject, body_schema="NewUser", status=201, refusals=(404, 409, 415),
        )  # fmt: skip
        yield read(_ONE, "showUser", "A user.", self._show, UserSummary, query=UserQuery, refusals=(404,))
        yield Operation(
            "PATCH", _ONE, "changeUser", "Change name, resource or roles of a user who was added.", self._change,
            UserSummary, body=JsonObject, body_schema="UserChanges", refusals=(404, 409, 415),
        )  # fmt: skip
        yield action("DELETE", _ONE, "removeUser", "Remove a user who was added, and end all their access.",
                     self._remove)  # fmt: skip
        yield action("POST", f"{_ONE}/disable", "disableUser", "Refuse a user, and end all their access.",
                     self._disable, query=UserQuery)  # fmt: skip
        yield action("POST", f"{_ONE}/enable", "enableUser", "Let a disabled user sign in again.", self._enable,
                     query=UserQuery)  # fmt: skip
        yield action("POST", f"{_ONE}/end", "endUser", "End all that a user signed in to and granted.", self._end,
                     query=UserQuery)  # fmt: skip
        yield Operation(
            "POST", f"{_ONE}/password", "setPassword",
            "Replace the password of a user who was added, and end all their access.",
            self._set_password, None, body=NewPassword, status=204, refusals=(404, 409, 415),
        )  # fmt: skip
        yield read("/sessions", "listSessions", "The browsers in which a user is signed in.", self._list_sessions,
                   SessionList, query=SessionQuery)  # fmt: skip
        yield action("DELETE", "/sessions/{session_id}", "endSession", "End a session, and what lasts as long.",
                     self._end_session)  # fmt: skip

    async def _list(self, call: Call[ListQuery, None]) -> RecordPage[UserSummary]:
        query = call.query
        return await self._users.page(search=query.search, after=query.after, limit=query.limit)

    async def _add(self, call: Call[ReplaceQuery, JsonObject]) -> UserSummary:
        username = await self._users.add(call.body, replaces=call.query.replace == "true")
        return await self._users.show({"user": username})

    async def _show(self, call: Call[UserQuery, None]) -> UserSummary:
        return await self._users.show(_named(call))

    async def _change(self, call: Call[NoQuery, JsonObject]) -> UserSummary:
        await self._users.update(call.path["user"], call.body)
        return await self._users.show({"user": call.path["user"]})

    async def _remove(self, call: Call[NoQuery, None]) -> None:
        await self._users.remove({"user": call.path["user"]})

    async def _disable(self, call: Call[UserQuery, None]) -> None:
        await self._users.disable(_named(call))

    async def _enable(self, call: Call[UserQuery, None]) -> None:
        await self._users.enable(_named(call))

    async def _end(self, call: Call[UserQuery, None]) -> None:
        await self._users.end(_named(call))

    async def _set_password(self, call: Call[NoQuery, NewPassword]) -> None:
        await self._users.set_password({"user": call.path["user"], "password": call.body.password})

    async def _list_sessions(self, call: Call[SessionQuery, None]) -> SessionList:
        return SessionList(await self._sessions.list(msgspec.to_builtins(call.query)))

    async def _end_session(self, call: Call[NoQuery, None]) -> None:
        await self._sessions.end(call.path["session_id"])


def _named(call: Call[UserQuery, None]) -> JsonObject:
    return {"user": call.path["user"], **msgspec.to_builtins(call.query)}
