"""`/admin/users` and `/admin/sessions`: who may sign in, and the end of what they signed in to."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.admin.admin_door import is_set, read_json
from gateway.smart_server.administration.user_naming import NamedUser
from gateway.smart_server.administration.users import ManagedUsers, UserSummary
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import json_response


class UserAdministration:
    """Lists, adds, disables and removes users, and ends what they signed in to. Raises `AdminRequestError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._users = ManagedUsers(dependencies)

    async def users(self, request: Request) -> Response:
        """GET: all local users, and disabled users of providers. POST: add a local user.

        A known name is refused, unless the query has `replace=true`. With another password, resource or roles,
        everything that the replaced user signed in to ends.
        """
        if request.method == "GET":
            return json_response({"users": [_describe(summary) for summary in await self._users.list()]})
        username = await self._users.add(await read_json(request), replaces=is_set(request, "replace"))
        return json_response({"username": username}, status=201)

    async def disable(self, request: Request) -> Response:
        """POST: refuse a user from now on, and end everything that they signed in to and granted."""
        return await _change(request, self._users.disable)

    async def enable(self, request: Request) -> Response:
        """POST: let a disabled user sign in again."""
        return await _change(request, self._users.enable)

    async def remove(self, request: Request) -> Response:
        """POST: remove a local user, and end everything that they signed in to and granted."""
        return await _change(request, self._users.remove)

    async def set_password(self, request: Request) -> Response:
        """POST: replace the password of a local user, and end everything that they signed in to and granted."""
        return await _change(request, self._users.set_password)

    async def end_sessions(self, request: Request) -> Response:
        """POST: end everything that a user signed in to and granted. The user may sign in again."""
        return await _change(request, self._users.end)


async def _change(request: Request, change: Callable[[Mapping[str, Any]], Awaitable[NamedUser]]) -> Response:
    user = await change(await read_json(request))
    return json_response({"user": user.name, "subject": user.subject})


def _describe(summary: UserSummary) -> dict[str, Any]:
    return {
        "user": summary.user,
        "name": summary.name,
        "fhir_user": summary.fhir_user,
        "roles": list(summary.roles),
        "disabled": summary.disabled,
        "from": summary.origin,
    }
