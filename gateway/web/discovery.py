"""`/.well-known/smart-configuration` below the FHIR base, derived from the configuration (checklist D-1..D-15)."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.policy.reasons import Reason
from gateway.web.answer import Answer, Receive, Scope, send_answer
from gateway.web.answer import Send as AsgiSend
from gateway.web.cors import ANY_ORIGIN, PUBLIC_PREFLIGHT

# The legacy extension's names for what the well-known document lists (checklist D-26).
_OAUTH_URIS = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}
_REQUIRED = frozenset({"capabilities"})


def oauth_uris(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The endpoints of a smart-configuration under the names of the `oauth-uris` extension."""
    return {name: configuration[key] for name, key in _OAUTH_URIS.items() if configuration.get(key)}


class SmartConfiguration:
    """The document, the same for everyone: no token, any origin, JSON whatever `Accept` says (D-2, D-4)."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        """`configuration` holds the members of the document.

        Empty ones are left out, never null (edge case 3), but for `capabilities`, which is required (D-10).
        """
        self._body = orjson.dumps({name: value for name, value in configuration.items() if value or name in _REQUIRED})

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Answer GET, HEAD and OPTIONS."""
        method = scope["method"]
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"max-age=300"), *ANY_ORIGIN]
        if method not in {"GET", "HEAD"}:
            status = 204 if method == "OPTIONS" else 405
            allow = [(b"allow", b"GET, HEAD, OPTIONS"), *PUBLIC_PREFLIGHT]
            await send_answer(send, Answer(status, Reason.PERMITTED, b"", allow), head=False)
            return
        await send_answer(send, Answer(200, Reason.PERMITTED, self._body, headers), head=method == "HEAD")
