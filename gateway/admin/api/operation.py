"""An operation of the API: its address, what it takes and returns, and who may call it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.administrator import Administrator, Role
from gateway.admin.sessions import SignedIn

Query = TypeVar("Query")
Body = TypeVar("Body")


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation without parameters in its query."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an administrator with a bearer token, or one who is `signed_in` in a browser."""

    administrator: Administrator
    signed_in: SignedIn | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """One request. `caller` is None where anybody may call. Headers of `carrier`, such as cookies, are sent along."""

    request: Request
    path: Mapping[str, str]
    query: Query
    body: Body
    caller: Caller | None
    carrier: Response = field(default_factory=Response)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one path below `/api`.

    `answer` is the type of what `handle` returns, and None for no content. `body` is the type of the JSON in the
    request, or None; `body_schema` names the schema that describes it, where the type does not. `needs` is the role,
    and None where anybody may call. `refusals` are the statuses beside those that every operation may have.
    """

    method: str
    path: str
    name: str
    summary: str
    handle: Callable[[Call[Any, Any]], Awaitable[object]]
    answer: Any
    query: type[Any] = NoQuery
    body: Any = None
    body_schema: str | None = None
    needs: Role | None = Role.OPERATOR
    status: int = 200
    refusals: tuple[int, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it may change something, so that a browser must prove that its own page asks for it."""
        return self.method != "GET"


def read(path: str, name: str, summary: str, handle: Callable[[Call[Any, Any]], Awaitable[object]], answer: Any,
         *, query: type[Any] = NoQuery, refusals: tuple[int, ...] = ()) -> Operation:  # fmt: skip
    """An operation that reads."""
    return Operation("GET", path, name, summary, handle, answer, query=query, needs=Role.AUDITOR, refusals=refusals)


def action(
    method: str, path: str, name: str, summary: str, handle: Callable[[Call[Any, Any]], Awaitable[object]],
    *, query: type[Any] = NoQuery,
) -> Operation:  # fmt: skip
    """An operation on one thing that is there, or is not, with nothing to answer."""
    return Operation(method, path, name, summary, handle, None, query=query, status=204, refusals=(404, 409))
