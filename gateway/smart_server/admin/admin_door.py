"""The admin token, which every request to the admin API needs, and the JSON that its endpoints read."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.error_responses import Endpoint
from gateway.smart_server.http_messages import BodyTooLargeError, json_response, read_body
from gateway.smart_server.limits.guess_limits import OPERATOR
from gateway.smart_server.limits.secret_checker import SecretChecker
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait


class AdminDoor:
    """Lets requests with the admin token pass."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._token_digest = dependencies.admin_token_digest
        self._secret_checker = SecretChecker(dependencies.limits.secrets)

    def protect(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, for requests with the admin token only. Its `AdminRequestError` becomes a response."""

        async def respond(request: Request) -> Response:
            try:
                is_operator = await self._is_operator(request)
            except TooManyAttemptsError as error:
                problem = {"problems": [f"Too many wrong tokens. Please wait {describe_wait(error.retry_after)}."]}
                return json_response(problem, status=429, headers=error.headers)
            if not is_operator:
                challenge = {"www-authenticate": 'Bearer realm="admin"'}
                problem = {"problems": ["The admin token is missing or wrong."]}
                return json_response(problem, status=401, headers=challenge)
            try:
                return await endpoint(request)
            except AdminRequestError as error:
                return json_response({"problems": list(error.problems)}, status=error.status)

        return respond

    async def _is_operator(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self._token_digest is None or scheme.lower() != "bearer":
            return False
        return await self._secret_checker.is_correct(OPERATOR, "", token.strip(), self._token_digest, request)


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises `AdminRequestError`."""
    try:
        body = orjson.loads(await read_body(request))
    except (orjson.JSONDecodeError, BodyTooLargeError) as error:
        raise AdminRequestError(400, "The body is not JSON, or too large.") from error
    if not isinstance(body, dict):
        raise AdminRequestError(400, "The body must be a JSON object.")
    return body


def is_set(request: Request, name: str) -> bool:
    """Whether the query sets a flag, such as `?replace=true`. Raises `AdminRequestError`."""
    value = request.query_params.get(name, "false")
    if value not in {"true", "false"}:
        raise AdminRequestError(400, f"{name}: must be true or false")
    return value == "true"
