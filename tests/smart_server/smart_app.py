"""A minimal SMART app, which builds its requests by hand."""

import base64
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.oauth.pkce import code_challenge

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class App:
    """One client. It authenticates by Basic with a secret, by a signed assertion with a key, or else is public."""

    issuer: str
    base: str
    http: httpx2.AsyncClient
    client_id: str = "public-app"
    redirect_uri: str = "https://app.example/callback"
    secret: str | None = None
    key: ECKey | RSAKey | None = None
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    worker_url: str | None = None

    def _reachable_url(self, url: str) -> str:
        """The URL to send a request to: at one worker, if `worker_url` is set, instead of the public URL."""
        return url if self.worker_url is None else self.worker_url + urlsplit(url).path

    def authorization_parameters(self, scope: str, **changes: str | None) -> dict[str, str]:
        """The parameters of a complete request. A parameter changed to None is omitted."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": self.state,
            "aud": self.base,
            "code_challenge": code_challenge(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def authorization_url(self, scope: str, **changes: str | None) -> str:
        """The URL of the authorization request."""
        return f"{self.issuer}/authorize?{urlencode(self.authorization_parameters(scope, **changes))}"

    def assertion(self, **changes: Any) -> str:
        """A new client assertion."""
        assert self.key is not None
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": f"{self.issuer}/token",
            "exp": int(time.time()) + 300,
            "jti": secrets.token_hex(32),
            **changes,
        }
        algorithm = "ES384" if isinstance(self.key, ECKey) else "RS384"
        header = {"alg": algorithm, "kid": str(self.key.kid), "typ": "JWT"}
        present_claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, present_claims, self.key, algorithms=[algorithm])

    async def post(self, path: str, form: dict[str, str | None], **headers: str) -> httpx2.Response:
        """POST a form to an endpoint, with the authentication of this client."""
        fields = {name: value for name, value in form.items() if value is not None}
        if self.secret is not None and "authorization" not in headers:
            pair = f"{quote(self.client_id, safe='')}:{quote(self.secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif self.key is not None and "client_assertion" not in form:
            fields |= {"client_assertion_type": JWT_BEARER, "client_assertion": self.assertion()}
        elif self.secret is None and self.key is None and "client_id" not in form:
            fields["client_id"] = self.client_id
        return await self.http.post(self._reachable_url(f"{self.issuer}{path}"), data=fields, headers=headers)

    async def exchange(self, code: str, **changes: str | None) -> httpx2.Response:
        """Exchange a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.post("/token", form)

    async def refresh(self, token: str, **changes: str | None) -> httpx2.Response:
        """Use a refresh token."""
        return await self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **changes})

    async def read(self, path: str, token: str) -> httpx2.Response:
        """A FHIR request with a token."""
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        address, _, query = f"{self.base}{path}".partition("?")
        return await self.http.get(self._reachable_url(address) + (f"?{query}" if query else ""), headers=headers)
