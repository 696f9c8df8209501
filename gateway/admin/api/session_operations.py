"""`/api/session`: who calls, and signing in and out with a browser's cookie."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.admin.administration import Administration
from gateway.admin.administrator import Origin, Role
from gateway.admin.api.operation import Call, NoQuery, Operation, read
from gateway.admin.api.problem import ApiProblem, ProblemCode


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name and password of an account."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(min_length=1, max_length=1000)]


class CurrentSession(msgspec.Struct, frozen=True):
    """Who calls. `csrf` is null for a program; a browser sends it in the header `x-csrf-token` with each change."""

    name: str
    role: Role
    origin: Origin
    csrf: str | None


class SessionOperations:
    """The session of the caller."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def operations(self) -> Iterator[Operation]:
        """The operations."""
        yield read("/session", "showSession", "Who calls.", self._show, CurrentSession)
        yield Operation(
            "POST", "/session", "signIn", "Sign in with an account, by a cookie.", self._sign_in, CurrentSession,
            body=SignIn, needs=None, status=201, refusals=(401, 415),
        )  # fmt: skip
        yield Operation(
            "DELETE", "/session", "signOut", "Sign out: end the session of the cookie.", self._sign_out, None,
            needs=Role.AUDITOR, status=204,
        )  # fmt: skip

    async def _show(self, call: Call[NoQuery, None]) -> CurrentSession:
        assert call.caller is not None
        administrator, signed_in = call.caller.administrator, call.caller.signed_in
        csrf = None if signed_in is None else signed_in.csrf
        return CurrentSession(administrator.name, administrator.role, administrator.origin, csrf)

    async def _sign_in(self, call: Call[NoQuery, SignIn]) -> CurrentSession:
        identity = await self._administration.password_sign_in.sign_in(call.body.name, call.body.password, call.request)
        if identity is None:
            raise ApiProblem(401, ProblemCode.WRONG_CREDENTIALS, "The name or the password is not right.")
        signed_in = await self._administration.sessions.start(identity, call.request, call.carrier)
        administrator = signed_in.administrator
        return CurrentSession(administrator.name, administrator.role, administrator.origin, signed_in.csrf)

    async def _sign_out(self, call: Call[NoQuery, None]) -> None:
        await self._administration.sessions.end(call.request, call.carrier)
