"""An app of the self-test: it builds its OAuth requests by hand, so that each part can be wrong."""

import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.commands.selftesting.check_results import CheckError
from gateway.commands.selftesting.web import Answer, Web
from gateway.oauth.pkce import code_challenge

CALLBACK = "https://selftest.invalid/callback"
LAUNCH_URI = "https://selftest.invalid/launch"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the SMART server is, by its discovery document. `base` is the FHIR base."""

    base: str
    issuer: str
    authorize: str
    token: str
    revoke: str
    jwks: str


@dataclass(frozen=True, slots=True)
class SmartApp:
    """A public app, with the verifier and the state of its requests."""

    web: Web
    endpoints: Endpoints
    client_id: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def authorization_url(self, scope: str, **changes: str | None) -> str:
        """The URL of a complete authorization request. A parameter that is changed to None is left out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": self.state,
            "aud": self.endpoints.base,
            "code_challenge": code_challenge(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        present = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.endpoints.authorize}?{urlencode(present)}"

    def exchange(self, code: str, **changes: str | None) -> Answer:
        """Exchange a code for tokens."""
        return self._post(
            grant_type="authorization_code",
            **{"code": code, "redirect_uri": CALLBACK, "code_verifier": self.verifier, **changes},
        )

    def refresh(self, refresh_token: str, **changes: str | None) -> Answer:
        """Use a refresh token."""
        return self._post(grant_type="refresh_token", **{"refresh_token": refresh_token, **changes})

    def revoke(self, token: str) -> Answer:
        """Revoke a token."""
        form = {"token": token, "client_id": self.client_id}
        return self.web.request("POST", self.endpoints.revoke, form=form)

    def _post(self, **form: str | None) -> Answer:
        fields = {"client_id": self.client_id, **form}
        present = {name: value for name, value in fields.items() if value is not None}
        return self.web.request("POST", self.endpoints.token, form=present)


@dataclass(frozen=True, slots=True)
class BackendApp:
    """A backend service, which authenticates by its key."""

    web: Web
    endpoints: Endpoints
    client_id: str
    key: RSAKey

    def request_token(self, scope: str, assertion: str | None = None) -> Answer:
        """Ask for a token, with a new client assertion unless one is given."""
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": _JWT_BEARER,
            "client_assertion": assertion or self.assertion(),
        }
        return self.web.request("POST", self.endpoints.token, form=form)

    def assertion(self, key: RSAKey | None = None, **changes: object) -> str:
        """A new client assertion, signed by the key of the app unless another one is given."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.endpoints.token,
            "exp": int(time.time()) + 240,
            "jti": secrets.token_hex(16),
            **changes,
        }
        return jwt.encode({"alg": "RS384", "kid": str(self.key.kid)}, claims, key or self.key, algorithms=["RS384"])


def granted_token(answer: Answer) -> str:
    """The access token of a token response. Raises `CheckError` if there is none."""
    token = answer.member("access_token")
    if answer.status != 200 or not isinstance(token, str):
        error = answer.member("error")
        raise CheckError(f"no token was issued: {answer.status} {error or ''}".rstrip(), sent=answer.sent)
    return token
