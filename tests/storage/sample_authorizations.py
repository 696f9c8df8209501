"""A user, an authorization and an authorization code for the tests of the stores."""

from dataclasses import replace
from typing import Any

from gateway.oauth.authorization import Authorization, AuthorizationCode, User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.tokens.opaque_tokens import new_id

LIFE = 60.0
DOCTOR = User("doctor", "Dr Dora Demo", "Practitioner/practitioner-1")


def make_authorization(**changes: Any) -> Authorization:
    """An authorization with all optional members."""
    return replace(
        Authorization(
            authorization_id=new_id(),
            client_id="app",
            scope="openid patient/*.rs",
            audience="https://x.example/fhir",
            granted_at=1.5,
            user=User("doctor", "Dr Dora Demo", "Practitioner/practitioner-1"),
            context=LaunchContext(
                patient="pat-a",
                need_patient_banner=False,
                fhir_context=({"reference": "Device/1"},),
                extra={"__a": [1, None]},
            ),
            signed_in_at=1.0,
            nonce="n",
        ),
        **changes,
    )


def make_code(authorization: Authorization) -> AuthorizationCode:
    """An authorization code for the authorization."""
    return AuthorizationCode(authorization, "https://app.example/callback", "challenge")
