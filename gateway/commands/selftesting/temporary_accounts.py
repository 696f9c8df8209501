"""Apps and users that are registered for a self-test by the admin API, and removed when it ends."""

import secrets
from typing import Any
from urllib.parse import quote

import httpx2
from joserfc.jwk import RSAKey

from gateway.commands.selftesting.check_results import CheckError, describe_failure
from gateway.commands.selftesting.smart_app import CALLBACK, LAUNCH_URI, BackendApp, Endpoints, SmartApp
from gateway.commands.selftesting.web import Answer, Web

PREFIX = "selftest-"
"""How the client ids and the names of the users begin."""


class TemporaryAccounts:
    """Registers and removes. `run` is a word that is unique to this run of the self-test."""

    def __init__(self, web: Web, endpoints: Endpoints, admin_url: str, admin_token: str, run: str) -> None:
        self._web = web
        self._endpoints = endpoints
        self._admin_url = admin_url
        self._headers = {"authorization": f"Bearer {admin_token}"}
        self._run = run
        # Noted before they are registered: a registration whose response is lost is removed as well.
        self._clients: list[str] = []
        self._users: list[str] = []

    def add_app(self, name: str, *, skip_consent: bool = False) -> SmartApp:
        """A public app. Raises `CheckError` if it is not registered."""
        client_id = self._new_client_id(name)
        entry = {
            "client_id": client_id,
            "name": "Self-test (temporary)",
            "redirect_uris": [CALLBACK],
            "launch_uris": [LAUNCH_URI],
            "skip_consent": skip_consent,
        }
        self._register("/clients", entry)
        return SmartApp(self._web, self._endpoints, client_id)

    def add_backend(self, name: str, scopes: str) -> BackendApp:
        """A backend service that may have these scopes. Raises `CheckError` if it is not registered."""
        key = RSAKey.generate_key(2048, parameters={"kid": "selftest"})
        client_id = self._new_client_id(name)
        entry = {
            "client_id": client_id,
            "name": "Self-test (temporary)",
            "type": "confidential-asymmetric",
            "grant_types": ["client_credentials"],
            "scopes": scopes,
            "jwks": {"keys": [key.as_dict(private=False)]},
        }
        self._register("/clients", entry)
        return BackendApp(self._web, self._endpoints, client_id, key)

    def add_user(self, name: str, fhir_user: str) -> tuple[str, str]:
        """A user with this resource; the name and the password. Raises `CheckError` if none is added."""
        username, password = f"{PREFIX}{self._run}-{name}", secrets.token_urlsafe(24)
        self._users.append(username)
        entry = {"username": username, "name": "Self-test (temporary)", "password": password, "fhir_user": fhir_user}
        self._register("/users", entry)
        return username, password

    def remove_app(self, client_id: str) -> Answer:
        """Remove an app, and end what was granted to it."""
        return self._ask("DELETE", f"/clients/{quote(client_id, safe='')}?remove=true")

    def remove_all(self) -> list[str]:
        """Remove what was registered. A sentence for each account that is still there, or may be."""
        left = []
        for client_id in reversed(self._clients):
            left += _removed(f"the app {client_id}", lambda client_id=client_id: self.remove_app(client_id))
        for username in reversed(self._users):
            left += _removed(
                f"the user {username}",
                lambda username=username: self._ask("POST", "/users/remove", {"user": username}),
            )
        self._clients.clear()
        self._users.clear()
        return left

    def _new_client_id(self, name: str) -> str:
        client_id = f"{PREFIX}{self._run}-{name}"
        self._clients.append(client_id)
        return client_id

    def _register(self, path: str, entry: dict[str, Any]) -> None:
        answer = self._ask("POST", path, entry)
        if answer.status != 201:
            problems = answer.member("problems")
            why = " ".join(map(str, problems)) if isinstance(problems, list) else ""
            raise CheckError(
                f"the admin API answered {answer.status}: {why}".rstrip(": "),
                sent=answer.sent,
                remedy="Check the admin token, and whether the admin API is reached from here (--admin-url).",
            )

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        return self._web.request(method, self._admin_url + path, headers=self._headers, body=body)


def _removed(what: str, remove: Any) -> list[str]:
    """Nothing, or the sentence that it is still there."""
    try:
        answer: Answer = remove()
    except httpx2.HTTPError as error:
        return [f"{what}: {describe_failure(error)}"]
    return [] if answer.status in {200, 404} else [f"{what}: the admin API answered {answer.status}"]
