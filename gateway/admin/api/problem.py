"""The errors of the API (RFC 9457), each with a stable code."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType

import msgspec
from starlette.responses import Response

from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import NO_STORE

PROBLEM_TYPE = "application/problem+json"
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ProblemCode(StrEnum):
    """What is wrong. The values are stable, so that programs can rely on them."""

    INVALID_REQUEST = "invalid_request"
    NOT_AUTHENTICATED = "not_authenticated"
    WRONG_CREDENTIALS = "wrong_credentials"
    NOT_PERMITTED = "not_permitted"
    FOREIGN_REQUEST = "foreign_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_CONFIGURATION = "invalid_configuration"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL_ERROR = "internal_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


CODES: Mapping[int, ProblemCode] = {
    400: ProblemCode.INVALID_REQUEST,
    404: ProblemCode.NOT_FOUND,
    409: ProblemCode.CONFLICT,
    422: ProblemCode.INVALID_CONFIGURATION,
    429: ProblemCode.TOO_MANY_REQUESTS,
    503: ProblemCode.TEMPORARILY_UNAVAILABLE,
}
"""The codes of what services refuse, by status."""


class Problem(msgspec.Struct, frozen=True):
    """What an error says. `problems` has a sentence for each thing that is wrong."""

    title: str
    status: int
    code: ProblemCode
    detail: str
    problems: tuple[str, ...] = ()


class ApiProblem(Exception):
    """The request is refused. `headers` are header fields for the response."""

    def __init__(
        self, status: int, code: ProblemCode, *problems: str, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        super().__init__(" ".join(problems))
        self.status = status
        self.code = code
        self.problems = problems
        self.headers = headers

    def response(self) -> Response:
        """The response, which notes the code for the event of the refusal."""
        note_refusal(self.code.value)
        title = HTTPStatus(self.status).phrase
        body = Problem(title, self.status, self.code, " ".join(self.problems), self.problems)
        return Response(msgspec.json.encode(body), self.status, {**NO_STORE, **self.headers}, PROBLEM_TYPE)
