"""`/.well-known/smart-configuration` below the FHIR base, built from the settings (checklist D-1..D-15)."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.asgi.cors import ANY_ORIGIN, PUBLIC_PREFLIGHT
from gateway.asgi.response import FhirResponse, send_response
from gateway.asgi.types import Receive, Scope, Send
from gateway.policy.reasons import Reason

# Names of the legacy `oauth-uris` extension, and of the same endpoints in the well-known document (checklist D-26).
_OAUTH_URIS = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}
_REQUIRED = frozenset({"capabilities"})


def build_oauth_uris(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The endpoints of a smart-configuration under the names of the `oauth-uris` extension."""
    return {name: configuration[key] for name, key in _OAUTH_URIS.items() if configuration.get(key)}


class SmartConfiguration:
    """Serves the document: without a token, to any origin, and as JSON regardless of `Accept` (D-2, D-4)."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        """`configuration` has the members of the document.

        Empty members are omitted, never null (edge case 3), except `capabilities`, which is required (D-10).
        """
        self._body = orjson.dumps({name: value for name, value in configuration.items() if value or name in _REQUIRED})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to GET, HEAD and OPTIONS."""
        method = scope["method"]
        headers = [
            (b"content-type", b"application/json"),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"max-age=300"),
            *ANY_ORIGIN,
        ]
        if method not in {"GET", "HEAD"}:
            status = 204 if method == "OPTIONS" else 405
            allow = [(b"allow", b"GET, HEAD, OPTIONS"), *PUBLIC_PREFLIGHT]
            await send_response(send, FhirResponse(status, Reason.PERMITTED, b"", allow), head=False)
            return
        await send_response(send, FhirResponse(200, Reason.PERMITTED, self._body, headers), head=method == "HEAD")
