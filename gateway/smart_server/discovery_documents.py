"""The public documents: smart-configuration, openid-configuration and the JWKS (checklist D, C)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.asgi.cors import PUBLIC_PREFLIGHT
from gateway.oauth.client.client_assertion_rules import ALGORITHMS
from gateway.smart_server.dependencies import Dependencies

_ANY_ORIGIN = {"access-control-allow-origin": "*"}


def smart_configuration(
    issuer: str, *, registration: bool, has_style: bool, allows_writes: bool, sees_certificates: bool = False
) -> dict[str, object]:
    """The members of `.well-known/smart-configuration`. A test proves every capability (C-1..C-9).

    `has_style`: every app is told a style. What a launcher may send besides is no capability of this server.
    `sees_certificates`: apps can authenticate by a certificate, to which their tokens are bound (RFC 8705 3.3).
    """
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
            *(f"{context}/*.{'cruds' if allows_writes else 'rs'}" for context in ("patient", "user", "system")),
        ],
        "capabilities": [
            "launch-ehr", "launch-standalone", "authorize-post",
            "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
            "sso-openid-connect", "context-banner", *(["context-style"] if has_style else []),
            "context-ehr-patient", "context-ehr-encounter",
            "context-standalone-patient", "context-standalone-encounter",
            "permission-offline", "permission-online", "permission-patient", "permission-user",
            "permission-v1", "permission-v2",
        ],
    }  # fmt: skip
    if registration:
        document["registration_endpoint"] = f"{issuer}/register"
    if sees_certificates:
        document["token_endpoint_auth_methods_supported"] = [
            "client_secret_basic", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"
        ]  # fmt: skip
        document["tls_client_certificate_bound_access_tokens"] = True
    return document


def openid_configuration(
    issuer: str, *, registration: bool, allows_writes: bool, sees_certificates: bool = False
) -> dict[str, object]:
    """OpenID Connect Discovery 3 (ID-8). Some of its members must not be in smart-configuration (contradiction 12)."""
    smart = smart_configuration(
        issuer,
        registration=registration,
        has_style=False,
        allows_writes=allows_writes,
        sees_certificates=sees_certificates,
    )
    shared = {name: value for name, value in smart.items() if name not in {"capabilities", "management_endpoint"}}
    return {
        **shared,
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        # Without it, fragment would be supported as well (OpenID Connect Discovery 3).
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


class DiscoveryDocuments:
    """The endpoints of the documents: for every origin, and cached for minutes (CO-4)."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._openid_configuration = openid_configuration(
            dependencies.issuer,
            registration=dependencies.allows_registration,
            allows_writes=dependencies.allows_writes,
            sees_certificates=dependencies.certificate_verifier is not None,
        )

    async def openid_configuration(self, request: Request) -> Response:
        """`/.well-known/openid-configuration` below the issuer."""
        return self._json(request, self._openid_configuration)

    async def jwks(self, request: Request) -> Response:
        """`/jwks`: the public keys that verify id_tokens."""
        return self._json(request, self._dependencies.signing_keys.keys.public_jwks())

    def _json(self, request: Request, value: dict[str, Any]) -> Response:
        if request.method == "OPTIONS":
            response = Response(status_code=204)
            response.raw_headers += PUBLIC_PREFLIGHT
            return response
        return JSONResponse(value, headers={**_ANY_ORIGIN, "cache-control": "public, max-age=300"})
