"""An app written as plainly as its specification: it builds requests by hand and believes nothing."""

import base64
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.oauth.pkce import challenge_of

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class App:
    """One client. With a secret it uses Basic, with a key a signed assertion, else its name alone."""

    issuer: str
    base: str
    http: httpx2.AsyncClient
    client_id: str = "public-app"
    redirect_uri: str = "https://app.example/callback"
    secret: str | None = None
    key: ECKey | RSAKey | None = None
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    reached_at: str | None = None

    def _reach(self, url: str) -> str:
        """Where a URL is asked for: at another worker than the public address names, if that is said."""
        return url if self.reached_at is None else self.reached_at + urlsplit(url).path

    def authorization_parameters(self, scope: str, **changes: str | None) -> dict[str, str]:
        """A whole request; a change to None leaves the parameter out."""
        whole: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": self.state,
            "aud": self.base,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def authorization_url(self, scope: str, **changes: str | None) -> str:
        """The address to open."""
        return f"{self.issuer}/authorize?{urlencode(self.authorization_parameters(scope, **changes))}"

    def assertion(self, **changes: Any) -> str:
        """A fresh signed statement of this client."""
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
        told = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, told, self.key, algorithms=[algorithm])

    async def post(self, path: str, form: dict[str, str | None], **headers: str) -> httpx2.Response:
        """POST a form to an endpoint, with this client's proof."""
        given = {name: value for name, value in form.items() if value is not None}
        if self.secret is not None and "authorization" not in headers:
            pair = f"{quote(self.client_id, safe='')}:{quote(self.secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif self.key is not None and "client_assertion" not in form:
            given |= {"client_assertion_type": JWT_BEARER, "client_assertion": self.assertion()}
        elif self.secret is None and self.key is None and "client_id" not in form:
            given["client_id"] = self.client_id
        return await self.http.post(self._reach(f"{self.issuer}{path}"), data=given, headers=headers)

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
        return await self.http.get(self._reach(address) + (f"?{query}" if query else ""), headers=headers)
