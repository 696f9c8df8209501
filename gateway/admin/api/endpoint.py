"""Answers requests to the API: who calls, what is asked, and the answer or the problem as JSON."""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.api.operation import Call, Caller, Operation
from gateway.admin.api.problem import CODES, ApiProblem, ProblemCode
from gateway.admin.door import AdminDoor
from gateway.asgi.types import Receive, Scope, Send
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.http_messages import MAX_BODY_BYTES, NO_STORE, BodyTooLargeError, media_type, read_body
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.storage.backends.store import StoreUnavailableError

PREFIX = "/api"
CSRF_HEADER = "x-csrf-token"
_log = logging.getLogger(__name__)
# What a browser shows that opens an address of the API: nothing of it is a page.
_HEADERS = {**NO_STORE, "content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
_CHALLENGE = {"www-authenticate": 'Bearer realm="admin"'}
_RETRY = {"retry-after": "2"}


class ApiEndpoint:
    """The API as one ASGI application. Paths are matched before they are decoded: an id may hold a slash."""

    def __init__(self, operations: Iterable[Operation], administration: Administration, door: AdminDoor) -> None:
        self._administration = administration
        self._door = door
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        self._paths = [(_pattern(path), methods) for path, methods in by_path.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. An address or a method that does not exist is no event."""
        request = Request(scope, receive, send)
        try:
            operation, path = self._find(request)
        except ApiProblem as problem:
            response = problem.response()
        else:
            respond = self._door.recorded(lambda asked: self._answer(operation, path, asked))
            response = await respond(request)
        await response(scope, receive, send)

    async def _answer(self, operation: Operation, path: Mapping[str, str], request: Request) -> Response:
        try:
            return await self._call(operation, path, request)
        except ApiProblem as problem:
            return problem.response()
        except AdminRequestError as error:
            code = CODES.get(error.status, ProblemCode.INVALID_REQUEST)
            return ApiProblem(error.status, code, *error.problems).response()
        except TooManyAttemptsError as error:
            text = f"Too many tries. Wait {error.retry_after} seconds."
            return ApiProblem(429, ProblemCode.TOO_MANY_REQUESTS, text, headers=error.headers).response()
        except StoreUnavailableError:
            text = "The store does not answer. Nothing was changed, or only a part of it: look before you try again."
            return ApiProblem(503, ProblemCode.TEMPORARILY_UNAVAILABLE, text, headers=_RETRY).response()
        except Exception:
            _log.exception("the admin API failed")
            return ApiProblem(500, ProblemCode.INTERNAL_ERROR, "The gateway failed; its log says why.").response()

    async def _call(self, operation: Operation, path: Mapping[str, str], request: Request) -> Response:
        caller = None if operation.needs is None else await self._authenticate(operation, request)
        call: Call[Any, Any] = Call(
            request, path, _read_query(operation, request), await _read_body(operation, request), caller
        )
        answer = await operation.handle(call)
        content = b"" if answer is None else msgspec.json.encode(answer)
        response = Response(content, operation.status, _HEADERS, None if answer is None else "application/json")
        cookies = [header for header in call.carrier.raw_headers if header[0] == b"set-cookie"]
        response.raw_headers += cookies
        return response

    def _find(self, request: Request) -> tuple[Operation, Mapping[str, str]]:
        path = request.scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix(PREFIX)
        for pattern, methods in self._paths:
            match = pattern.fullmatch(path)
            if match is not None:
                operation = methods.get(request.method)
                if operation is None:
                    allowed = {"allow": ", ".join(sorted(methods))}
                    raise ApiProblem(
                        405, ProblemCode.METHOD_NOT_ALLOWED, "Another method is needed here.", headers=allowed
                    )
                return operation, {name: _decode(value) for name, value in match.groupdict().items()}
        raise ApiProblem(
            404, ProblemCode.NOT_FOUND, "There is nothing at this address; /api/openapi.json says what is."
        )

    async def _authenticate(self, operation: Operation, request: Request) -> Caller:
        assert operation.needs is not None
        caller = await self._find_caller(operation, request)
        if caller is None:
            text = "A bearer token or a session of an administrator is needed."
            raise ApiProblem(401, ProblemCode.NOT_AUTHENTICATED, text, headers=_CHALLENGE)
        if not caller.administrator.role.includes(operation.needs):
            text = f"This needs the role {operation.needs.value}, and {caller.administrator.name} is an auditor."
            raise ApiProblem(403, ProblemCode.NOT_PERMITTED, text)
        return caller

    async def _find_caller(self, operation: Operation, request: Request) -> Caller | None:
        """A request with an Authorization header is that of a program, whatever cookies it has."""
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                return None
            administrator = await self._administration.token_sign_in.authenticate(token.strip(), request)
            return None if administrator is None else Caller(administrator)
        signed_in = await self._door.signed_in(request)
        if signed_in is None:
            return None
        if operation.changes and not signed_in.is_own_form(request.headers.get(CSRF_HEADER)):
            text = f"A change needs the token of the session in the header {CSRF_HEADER}; GET /api/session has it."
            raise ApiProblem(403, ProblemCode.FOREIGN_REQUEST, text)
        return Caller(signed_in.administrator, signed_in)


def _pattern(path: str) -> re.Pattern[str]:
    parts = (f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in path.split("/"))
    return re.compile("/".join(parts))


def _decode(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise ApiProblem(400, ProblemCode.INVALID_REQUEST, "The path is not UTF-8.") from None


def _read_query(operation: Operation, request: Request) -> Any:
    pairs = request.query_params.multi_items()
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ApiProblem(400, ProblemCode.INVALID_REQUEST, "A parameter of the query is repeated.")
    try:
        return msgspec.convert(members, operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise ApiProblem(400, ProblemCode.INVALID_REQUEST, f"The query is not valid: {error}.") from error


async def _read_body(operation: Operation, request: Request) -> Any:
    """The body as the type of the operation. What an operation without one gets is not read."""
    if operation.body is None:
        return None
    if media_type(request) != "application/json":
        raise ApiProblem(415, ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
    try:
        return msgspec.json.decode(await read_body(request), type=operation.body)
    except BodyTooLargeError:
        text = f"The body is larger than {MAX_BODY_BYTES} bytes."
        raise ApiProblem(413, ProblemCode.TOO_LARGE, text) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiProblem(400, ProblemCode.INVALID_REQUEST, f"The body is not valid: {error}.") from error
