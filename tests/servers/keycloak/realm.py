"""A realm of Keycloak as apps and users see it: its endpoints, and each way to fetch a token."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.servers.keycloak.signing_in import browser, sign_in

JsonObject = dict[str, Any]
"""A JSON object as Keycloak answers it."""


class TokenRequestError(Exception):
    """An endpoint of the realm refused a request. The message has its response."""


class Realm:
    """One realm, by its issuer URL."""

    def __init__(self, issuer: str, client: httpx2.AsyncClient) -> None:
        """`client` is shared, and is not closed here."""
        self.issuer = issuer
        self._client = client

    def endpoint(self, name: str) -> str:
        """The URL of `auth`, `token`, `token/introspect`, `revoke`, `logout`, `userinfo` or `certs`."""
        return f"{self.issuer}/protocol/openid-connect/{name}"

    async def password_grant(
        self, client_id: str, username: str, password: str, scope: str | None = "openid"
    ) -> JsonObject:
        """The token response of the resource owner password grant, for a public client."""
        user = {"username": username, "password": password}
        return await self.token(grant_type="password", client_id=client_id, scope=scope, **user)

    async def client_credentials_grant(self, client_id: str, secret: str, scope: str | None = None) -> JsonObject:
        """The token response of the client credentials grant."""
        credentials = {"client_id": client_id, "client_secret": secret}
        return await self.token(grant_type="client_credentials", scope=scope, **credentials)

    async def refresh_grant(self, client_id: str, refresh_token: str) -> JsonObject:
        """The token response of the refresh grant, for a public client."""
        return await self.token(grant_type="refresh_token", client_id=client_id, refresh_token=refresh_token)

    async def code_flow(
        self, client_id: str, redirect_uri: str, username: str, password: str, scope: str = "openid", **secret: str
    ) -> JsonObject:
        """The token response of the code flow with PKCE, through the login form as a browser would.

        A confidential client gives its `client_secret`.
        """
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
        request = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        async with browser() as client:
            url = f"{self.endpoint('auth')}?{urlencode(request)}"
            response = parse_qs(urlsplit(await sign_in(client, url, username, password)).query)
        if response.get("state") != [request["state"]] or "code" not in response:
            raise TokenRequestError(f"the callback has no code for our state: {response}")
        parameters = {"client_id": client_id, "redirect_uri": redirect_uri, "code_verifier": verifier, **secret}
        return await self.token(grant_type="authorization_code", code=response["code"][0], **parameters)

    async def token(self, **form: str | None) -> JsonObject:
        """The response of the token endpoint. Parameters of None are left out. Raises `TokenRequestError`."""
        return await self._post_form("token", {name: value for name, value in form.items() if value is not None})

    async def introspect(self, token: str, client_id: str, secret: str) -> JsonObject:
        """The response of the introspection endpoint to this client."""
        return await self._post_form("token/introspect", {"token": token}, (client_id, secret))

    async def revoke(self, token: str, client_id: str) -> None:
        """Revoke a token, as a public client."""
        await self._post_form("revoke", {"token": token, "client_id": client_id})

    async def log_out(self, client_id: str, refresh_token: str) -> None:
        """End the session that the refresh token belongs to, as a public client."""
        await self._post_form("logout", {"refresh_token": refresh_token, "client_id": client_id})

    async def keys(self) -> list[JsonObject]:
        """The members of the realm's JWKS."""
        listed: list[JsonObject] = (await self._client.get(self.endpoint("certs"))).json()["keys"]
        return listed

    async def _post_form(
        self, name: str, form: dict[str, str], credentials: tuple[str, str] | None = None
    ) -> JsonObject:
        proof = httpx2.BasicAuth(*credentials) if credentials is not None else None
        response = await self._client.post(self.endpoint(name), data=form, auth=proof or httpx2.USE_CLIENT_DEFAULT)
        if not response.is_success:
            raise TokenRequestError(f"{name}: {response.status_code} {response.text[:500]}")
        results: JsonObject = response.json() if response.content else {}
        return results


def claims(token: str) -> JsonObject:
    """The claims of a JWT, without verification."""
    return _decode_part(token, 1)


def header(token: str) -> JsonObject:
    """The JOSE header of a JWT, without verification."""
    return _decode_part(token, 0)


def _decode_part(token: str, number: int) -> JsonObject:
    text = token.split(".")[number]
    results: JsonObject = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return results
