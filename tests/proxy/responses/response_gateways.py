"""The settings and the gateways of the tests of responses."""

from dataclasses import dataclass
from typing import Any

from tests.proxy.running_gateway import ISSUER, RunningGateway

ORIGIN, STRANGE_ORIGIN = "https://app.example", "https://elsewhere.example"


AUTHORIZATION_SERVER = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/keys",
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "introspection_endpoint": f"{ISSUER}/introspect",
    "management_endpoint": f"{ISSUER}/manage",
    "capabilities": ["launch-standalone", "client-public", "sso-openid-connect", "permission-v2"],
}


SETTINGS: dict[str, Any] = {
    "authorization_server": AUTHORIZATION_SERVER,
    "cors": {"allowed_origins": [ORIGIN]},
    "upstream": {
        "max_verified_body_bytes": 200_000,
        "pool": {"connect_timeout_seconds": 0.3, "read_timeout_seconds": 0.3, "total_timeout_seconds": 0.5},
    },
}


DISCOVERY = "/.well-known/smart-configuration"


@dataclass(frozen=True)
class ResponseGateways:
    """A gateway in front of sekmet, one per mode of the hostile server, and one whose FHIR server is down."""

    gateway: RunningGateway
    by_mode: dict[str, RunningGateway]
    down: RunningGateway
