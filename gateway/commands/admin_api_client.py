"""A client of a running gateway's admin API: its clients, users and signing keys."""

import json
import time
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from gateway.settings.model import Settings

_TIMEOUT = 10.0


class AdminApiError(Exception):
    """The admin API refused or could not be reached. The message is for the person at the terminal.

    `status` is that of its response; None if there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AdminApiClient:
    """Calls the admin API of the gateway that a configuration describes."""

    def __init__(self, settings: Settings, address: str | None = None) -> None:
        """`address` replaces the issuer's URL if that cannot be reached from here.

        Raises `AdminApiError` if the configuration has no admin API.
        """
        smart_server = settings.smart_server
        if smart_server is None or smart_server.admin_token is None:
            raise AdminApiError("The configuration gives no smart_server.admin_token, so there is no admin API.")
        self._base = (address or settings.smart_server_issuer()) + "/admin"
        self._token = smart_server.admin_token.get_secret_value()

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The body of the response. Raises `AdminApiError` with every problem that the gateway names."""
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            response = httpx2.request(method, self._base + path, json=body, headers=headers, timeout=_TIMEOUT)
            response_body = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise AdminApiError(f"The gateway at {self._base} does not answer: {error}") from error
        if not response.is_success:
            problems = response_body.get("problems") or [f"Status {response.status_code}."]
            raise AdminApiError("\n".join(problems), response.status_code)
        return dict(response_body)

    def client_lines(self) -> list[str]:
        """One line for each client."""
        clients = self.request("GET", "/clients")["clients"]
        return [
            f"{client['client_id']:<36} {client['authentication']:<20} {client['from']:<14} "
            f"{'disabled' if client['disabled'] else 'enabled':<9} {printable(client['name'])}"
            f"{'  (public, without PKCE)' if client['without_pkce'] else ''}"
            for client in clients
        ]

    def client(self, client_id: str) -> dict[str, Any]:
        """The stored entry of a client that was registered at the running gateway."""
        return self.request("GET", f"/clients/{quote(client_id, safe='')}")

    def update_client(self, client_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change members of a client; the entry as it is stored."""
        return self.request("PATCH", f"/clients/{quote(client_id, safe='')}", changes)

    def disable_client(self, client_id: str) -> None:
        """Disable a client from now on."""
        self.request("DELETE", f"/clients/{quote(client_id, safe='')}")

    def remove_client(self, client_id: str) -> None:
        """Remove a client and everything that was granted to it."""
        self.request("DELETE", f"/clients/{quote(client_id, safe='')}?remove=true")

    def user_lines(self) -> list[str]:
        """One line for each user."""
        return [
            f"{printable(user['user']):<44} {user['from']:<14} {'disabled' if user['disabled'] else 'enabled':<9} "
            f"{user['fhir_user'] or '-':<36} {printable(user['name'])}"
            for user in self.request("GET", "/users")["users"]
        ]

    def grant_lines(self, criteria: dict[str, str]) -> list[str]:
        """One line for each authorization that fits the criteria."""
        return [
            f"{_format_time(grant['granted_at'])} {grant['client']:<36} {printable(grant['user'] or '-'):<44} "
            f"{grant['patient'] or '-':<36} {'session' if grant['ends_with_session'] else 'token':<8} {grant['scope']}"
            for grant in self.request("GET", f"/grants?{urlencode(criteria)}")["grants"]
        ]

    def token_claims(self, token: str) -> dict[str, Any]:
        """The claims of an access token issued by the gateway."""
        return self.request("POST", "/token", {"token": token})


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def printable(text: str) -> str:
    """The text as one safe line for a terminal: control and direction characters become JSON escapes."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)


def printable_json(value: dict[str, Any]) -> str:
    """The value as indented JSON that is safe for a terminal."""
    return "\n".join(map(printable, json.dumps(value, indent=2, ensure_ascii=False).split("\n")))
