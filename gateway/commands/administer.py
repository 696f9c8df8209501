"""Clients, users and signing keys of a running gateway, by its admin API."""

import json
from typing import Any
from urllib.parse import quote

import httpx2

from gateway.settings.model import Settings

_TIMEOUT = 10.0


class AdministrationError(Exception):
    """Not done, and why, in sentences for the person at the terminal."""


class Administrator:
    """Speaks to the admin API of the gateway that a configuration describes."""

    def __init__(self, settings: Settings, address: str | None = None) -> None:
        """`address` is used in place of the issuer's URL, where that cannot be reached from here."""
        smart = settings.smart_server
        if smart is None or smart.admin_token is None:
            raise AdministrationError("The configuration gives no smart_server.admin_token, so there is no admin API.")
        self._base = (address or settings.own_issuer()) + "/admin"
        self._token = smart.admin_token.get_secret_value()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer. Raises `AdministrationError` with every problem that the gateway names."""
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            response = httpx2.request(method, self._base + path, json=body, headers=headers, timeout=_TIMEOUT)
            answer = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise AdministrationError(f"The gateway at {self._base} does not answer: {error}") from error
        if not response.is_success:
            raise AdministrationError("\n".join(answer.get("problems") or [f"Status {response.status_code}."]))
        return dict(answer)

    def clients(self) -> list[str]:
        """One line for each client."""
        rows = self.ask("GET", "/clients")["clients"]
        return [
            f"{one['client_id']:<36} {one['authentication']:<20} {one['from']:<14} "
            f"{'disabled' if one['disabled'] else 'enabled':<9} {printable(one['name'])}"
            for one in rows
        ]

    def client(self, client_id: str) -> dict[str, Any]:
        """What is kept of a client that was registered."""
        return self.ask("GET", f"/clients/{quote(client_id, safe='')}")

    def disable(self, client_id: str) -> None:
        """Refuse a client from now on."""
        self.ask("DELETE", f"/clients/{quote(client_id, safe='')}")

    def claims(self, token: str) -> dict[str, Any]:
        """What an access token of ours stands for."""
        return self.ask("POST", "/token", {"token": token})


def printable(text: str) -> str:
    """The text on one line of a terminal: what would command it, or turn the line around, is shown as an escape."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def in_json(value: dict[str, Any]) -> str:
    """As it is printed, still JSON."""
    return "\n".join(map(printable, json.dumps(value, indent=2, ensure_ascii=False).split("\n")))
