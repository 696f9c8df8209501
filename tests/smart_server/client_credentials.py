"""Client credentials made by hand, and requests that show whether they are accepted."""

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import CALLBACK, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App

SYMMETRIC = "https://symmetric.example"
FORM = {"grant_type": "authorization_code", "code": "BAD_CODE", "redirect_uri": CALLBACK}


def basic_auth(text: str) -> dict[str, str]:
    """The Authorization header with these credentials, as they are."""
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def exchange_bad_code(
    server: RunningServer, form: Mapping[str, str] | None = None, /, **headers: str
) -> httpx2.Response:
    """A code exchange with an invalid code: `invalid_grant` means that the client is authenticated."""
    return await server.http.post(f"{server.issuer}/token", data={**FORM, **(form or {})}, headers=headers)


async def is_accepted(server: RunningServer, assertion: str, **form: str) -> bool:
    """Whether an assertion authenticates its client. All refusals have the same form."""
    response = await exchange_bad_code(
        server, {"client_assertion_type": JWT_BEARER, "client_assertion": assertion, **form}
    )
    error = oauth_error(response)
    assert error in {"invalid_grant", "invalid_client"}
    if error == "invalid_client":
        assert "www-authenticate" not in response.headers
    return error == "invalid_grant"


def make_assertion(
    app: App, key: ECKey | RSAKey, algorithm: str, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """An assertion with changed header members and claims. None removes one."""
    members = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
    payload = {
        "iss": app.client_id,
        "sub": app.client_id,
        "aud": f"{app.issuer}/token",
        "exp": int(time.time()) + 300,
        "jti": secrets.token_hex(32),
        **claims,
    }
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None},
        {name: value for name, value in payload.items() if value is not None},
        key,
        algorithms=[algorithm],
    )
