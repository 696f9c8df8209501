"""What is published: smart-configuration, openid-configuration and JWKS, derived from what is enabled (D, C)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.oauth.assertion import ALGORITHMS
from gateway.web.cors import PUBLIC_PREFLIGHT
from gateway.web.smart.parts import SmartParts

_ANY_ORIGIN = {"access-control-allow-origin": "*"}


def smart_configuration(issuer: str, *, registration: bool) -> dict[str, object]:
    """The members of `.well-known/smart-configuration`; each capability is a promise that a test keeps (C-1..C-9)."""
    document: dict[str, object] = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/jwks",
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "management_endpoint": f"{issuer}/manage",
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
        "scopes_supported": [
            "openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access",
            "patient/*.rs", "user/*.rs", "system/*.rs",
        ],
        "capabilities": [
            "launch-ehr", "launch-standalone", "authorize-post",
            "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
            "sso-openid-connect", "context-banner", "context-style",
            "context-ehr-patient", "context-ehr-encounter",
            "context-standalone-patient", "context-standalone-encounter",
            "permission-offline", "permission-online", "permission-patient", "permission-user",
            "permission-v1", "permission-v2",
        ],
    }  # fmt: skip
    if registration:
        document["registration_endpoint"] = f"{issuer}/register"
    return document


def openid_configuration(issuer: str, *, registration: bool) -> dict[str, object]:
    """OpenID Connect Discovery 3 (ID-8), which may list what smart-configuration must not (contradiction 12)."""
    smart = smart_configuration(issuer, registration=registration)
    shared = {name: value for name, value in smart.items() if name not in {"capabilities", "management_endpoint"}}
    return {
        **shared,
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


class Documents:
    """Public, for every origin, and cached for minutes (CO-4)."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts
        self._openid = openid_configuration(parts.issuer, registration=parts.registration)

    async def openid(self, request: Request) -> Response:
        """`/.well-known/openid-configuration` below the issuer."""
        return self._json(request, self._openid)

    async def jwks(self, request: Request) -> Response:
        """The keys that id_tokens are checked with."""
        return self._json(request, self._parts.ring.keys.published())

    def _json(self, request: Request, value: dict[str, Any]) -> Response:
        if request.method == "OPTIONS":
            response = Response(status_code=204)
            response.raw_headers += PUBLIC_PREFLIGHT
            return response
        return JSONResponse(value, headers={**_ANY_ORIGIN, "cache-control": "public, max-age=300"})
