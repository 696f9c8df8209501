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

Answer = dict[str, Any]
"""A JSON object as Keycloak answers it."""


class Unanswered(Exception):
    """An endpoint of the realm refused; the message carries its answer."""


class Realm:
    """One realm, by its issuer URL."""

    def __init__(self, issuer: str, client: httpx2.AsyncClient) -> None:
        """`client` is shared: it stays open here."""
        self.issuer = issuer
        self._client = client

    def endpoint(self, name: str) -> str:
        """The URL of `auth`, `token`, `token/introspect`, `revoke`, `logout`, `userinfo` or `certs`."""
        return f"{self.issuer}/protocol/openid-connect/{name}"

    async def by_password(self, client_id: str, username: str, password: str, scope: str | None = "openid") -> Answer:
        """The token response of the resource owner password grant, for a public client."""
        user = {"username": username, "password": password}
        return await self.token(grant_type="password", client_id=client_id, scope=scope, **user)

    async def by_client_credentials(self, client_id: str, secret: str, scope: str | None = None) -> Answer:
        """The token response of the client credentials grant."""
        credentials = {"client_id": client_id, "client_secret": secret}
        return await self.token(grant_type="client_credentials", scope=scope, **credentials)

    async def by_refresh(self, client_id: str, refresh_token: str) -> Answer:
        """The token response of the refresh grant, for a public client."""
        return await self.token(grant_type="refresh_token", client_id=client_id, refresh_token=refresh_token)

    async def by_code(
        self, client_id: str, redirect_uri: str, username: str, password: str, scope: str = "openid", **secret: str
    ) -> Answer:
        """The token response of the code flow with PKCE, through the login form as a browser would.

        A confidential client gives its `client_secret`.
        """
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        async with browser() as client:
            url = f"{self.endpoint('auth')}?{urlencode(question)}"
            answer = parse_qs(urlsplit(await sign_in(client, url, username, password)).query)
        if answer.get("state") != [question["state"]] or "code" not in answer:
            raise Unanswered(f"the callback has no code for our state: {answer}")
        given = {"client_id": client_id, "redirect_uri": redirect_uri, "code_verifier": verifier, **secret}
        return await self.token(grant_type="authorization_code", code=answer["code"][0], **given)

    async def token(self, **form: str | None) -> Answer:
        """The answer of the token endpoint; members of None are left out. Raises `Unanswered`."""
        return await self._posted("token", {name: value for name, value in form.items() if value is not None})

    async def introspect(self, token: str, client_id: str, secret: str) -> Answer:
        """What the introspection endpoint tells this client of a token."""
        return await self._posted("token/introspect", {"token": token}, (client_id, secret))

    async def revoke(self, token: str, client_id: str) -> None:
        """Give a token up, as a public client."""
        await self._posted("revoke", {"token": token, "client_id": client_id})

    async def log_out(self, client_id: str, refresh_token: str) -> None:
        """End the session that the refresh token belongs to, as a public client."""
        await self._posted("logout", {"refresh_token": refresh_token, "client_id": client_id})

    async def keys(self) -> list[Answer]:
        """The members of the realm's JWKS."""
        listed: list[Answer] = (await self._client.get(self.endpoint("certs"))).json()["keys"]
        return listed

    async def _posted(self, name: str, form: dict[str, str], credentials: tuple[str, str] | None = None) -> Answer:
        proof = httpx2.BasicAuth(*credentials) if credentials is not None else None
        answer = await self._client.post(self.endpoint(name), data=form, auth=proof or httpx2.USE_CLIENT_DEFAULT)
        if not answer.is_success:
            raise Unanswered(f"{name}: {answer.status_code} {answer.text[:500]}")
        found: Answer = answer.json() if answer.content else {}
        return found


def claims(token: str) -> Answer:
    """What a JWT says, unverified."""
    return _part(token, 1)


def header(token: str) -> Answer:
    """The JOSE header of a JWT, unverified."""
    return _part(token, 0)


def _part(token: str, number: int) -> Answer:
    text = token.split(".")[number]
    found: Answer = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found
