"""Keycloak's admin API, as far as tests need it: fresh realms, and what is in them."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import httpx2

from tests.servers.keycloak.realm import Realm
from tests.servers.keycloak_server import ADMINISTRATOR

Representation = dict[str, Any]
"""An object of the admin API as plain JSON."""

_RENEW_AFTER_SECONDS = 30.0


class AdministrationError(Exception):
    """Keycloak refused a request of its administrator. The message has its response."""


class Administration:
    """The administrator of one Keycloak. Use it as an async context manager: it holds a client of its own."""

    def __init__(self, base_url: str) -> None:
        """`base_url` is Keycloak's root."""
        self._base_url = base_url
        self._client = httpx2.AsyncClient(trust_env=False, timeout=30)
        self._token = ""
        self._renew_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def request(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Send a request below `/admin/realms`. Raises `AdministrationError` if the status is not one of success."""
        url = f"{self._base_url}/admin/realms{path}"
        headers = {"authorization": f"Bearer {await self._access_token()}"}
        response = await self._client.request(method, url, json=body, headers=headers)
        if not response.is_success:
            raise AdministrationError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response

    @contextlib.asynccontextmanager
    async def realm(self, **representation: Any) -> AsyncIterator[ManagedRealm]:
        """A new realm with Keycloak's default client scopes, deleted at the end of the block. It takes a second."""
        name = f"realm-{secrets.token_hex(4)}"
        await self.request("POST", "", {"realm": name, "enabled": True, **representation})
        try:
            yield ManagedRealm(self, Realm(f"{self._base_url}/realms/{name}", self._client))
        finally:
            await self.request("DELETE", f"/{name}")

    async def _access_token(self) -> str:
        # By Keycloak's default, the token is valid for one minute.
        if time.monotonic() >= self._renew_at:
            master = Realm(f"{self._base_url}/realms/master", self._client)
            response = await master.password_grant("admin-cli", ADMINISTRATOR, ADMINISTRATOR, scope=None)
            self._token, self._renew_at = response["access_token"], time.monotonic() + _RENEW_AFTER_SECONDS
        return self._token


class ManagedRealm:
    """The administration of one realm. `realm` is what apps and users see of it."""

    def __init__(self, administration: Administration, realm: Realm) -> None:
        """`realm` must be a realm of the same Keycloak."""
        self.realm = realm
        self._administration = administration
        self._path = f"/{realm.issuer.rpartition('/')[2]}"

    async def request(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Send a request below the realm. Raises `AdministrationError`."""
        return await self._administration.request(method, self._path + path, body)

    async def add_user(self, username: str, password: str, **attributes: str) -> str:
        """A user who can sign in at once, with everything that Keycloak would otherwise ask for. Returns the id."""
        user = {
            "username": username,
            "enabled": True,
            "email": f"{username}@example.org",
            "emailVerified": True,
            "firstName": username.title(),
            "lastName": "Example",
            "attributes": {name: [value] for name, value in attributes.items()},
            "credentials": [{"type": "password", "value": password, "temporary": False}],
        }
        return _created_id(await self.request("POST", "/users", user))

    async def add_client(self, representation: Representation) -> str:
        """A client, as Keycloak's ClientRepresentation. Returns its internal id."""
        return _created_id(await self.request("POST", "/clients", representation))

    async def add_client_scope(self, representation: Representation) -> str:
        """A client scope. Returns its internal id."""
        return _created_id(await self.request("POST", "/client-scopes", representation))

    async def change_client(self, internal_id: str, **changes: Any) -> None:
        """Change members of the client's representation."""
        await self._change(f"/clients/{internal_id}", changes)

    async def change_user(self, internal_id: str, **changes: Any) -> None:
        """Change members of the user's representation."""
        await self._change(f"/users/{internal_id}", changes)

    async def declare_attributes(self, attributes: list[Representation]) -> None:
        """Add attributes to the user profile. Keycloak silently drops attributes that are not declared."""
        profile = (await self.request("GET", "/users/profile")).json()
        await self.request("PUT", "/users/profile", {**profile, "attributes": [*profile["attributes"], *attributes]})

    async def rotate_signing_key(self, algorithm: str = "RS256") -> str:
        """Make a new RSA key that signs from now on; older ones stay published. Returns the new `kid`."""
        return await self._add_key("rsa-generated", algorithm=algorithm, keySize="2048")

    async def add_elliptic_key(self, curve: str = "P-256") -> str:
        """Make a new key for ECDSA beside the RSA keys. Returns its `kid`."""
        return await self._add_key("ecdsa-generated", ecdsaEllipticCurveKey=curve)

    async def disable_key(self, kid: str) -> None:
        """Disable a key: it is no longer published, and tokens that it signed are refused."""
        provider = f"/components/{(await self.signing_keys())[kid]}"
        component = (await self.request("GET", provider)).json()
        config = {**component["config"], "enabled": ["false"], "active": ["false"]}
        await self.request("PUT", provider, {**component, "config": config})

    async def signing_keys(self) -> Mapping[str, str]:
        """The enabled keys that sign, by `kid`, each with the id of its provider."""
        listed = (await self.request("GET", "/keys")).json()["keys"]
        return {
            key["kid"]: key["providerId"]
            for key in listed
            if key["use"] == "SIG" and key["status"] != "DISABLED" and key["type"] != "OCT"
        }

    async def end_sessions(self, user_id: str) -> None:
        """Sign a user out everywhere."""
        await self.request("POST", f"/users/{user_id}/logout")

    async def _add_key(self, provider: str, **config: str) -> str:
        before = await self.signing_keys()
        config_values = {"priority": str(200 + len(before)), **config}
        component = {
            "name": f"{provider}-{secrets.token_hex(4)}",
            "providerId": provider,
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {name: [value] for name, value in config_values.items()},
        }
        await self.request("POST", "/components", component)
        return next(iter((await self.signing_keys()).keys() - before.keys()))

    async def _change(self, path: str, changes: Mapping[str, Any]) -> None:
        representation = (await self.request("GET", path)).json()
        await self.request("PUT", path, {**representation, **changes})


def _created_id(response: httpx2.Response) -> str:
    """The id at the end of the `Location` header."""
    return response.headers["location"].rpartition("/")[2]
