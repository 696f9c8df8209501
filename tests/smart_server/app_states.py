"""A server that keeps app state, and apps of several kinds that use it."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.smart_server.running_server import BACKEND_KEY, RunningServer, public_jwks
from tests.smart_server.smart_app import App

ORIGIN = "https://state.example"
CODE = "preferences"
PATIENT_SCOPE, USER_SCOPE = "launch/patient patient/Basic.cuds", "openid fhirUser user/Basic.cuds"
LIMITS = {"max_resources": 4, "max_total_bytes": 512 * 1024}


def keep_app_state(settings: dict[str, Any]) -> None:
    """Switch app state on, and register apps: two of one origin, a companion, one for administrators, and others."""
    settings["app_state"] = {**LIMITS}
    settings["smart_server"]["clients"] += [
        _client("state-app", f"{ORIGIN}/callback"),
        _client("sister-app", f"{ORIGIN}/sister"),
        _client("companion-app", "https://companion.example/cb", [{"system": ORIGIN, "access": "query"}]),
        _client("admin-app", "https://admin.example/cb", [{"system": ORIGIN, "global_access": "modify"}]),
        _client("foreign-app", "https://foreign.example/cb"),
        _client("two-homes-app", f"{ORIGIN}/cb", more=["https://foreign.example/cb"]),
        _client("closed-app", f"{ORIGIN}/cb", []),
        {"client_id": "state-backend", "name": "Backend", "type": "confidential-asymmetric",
         "grant_types": ["client_credentials"], "jwks": public_jwks(BACKEND_KEY), "scopes": "system/Basic.cuds",
         "app_state": [{"system": ORIGIN, "global_access": "modify"}]},
    ]  # fmt: skip


def _client(client_id: str, redirect_uri: str, codes: Any = None, more: Any = ()) -> dict[str, Any]:
    entry = {"client_id": client_id, "name": client_id, "redirect_uris": [redirect_uri, *more]}
    return entry if codes is None else {**entry, "app_state": codes}


@dataclass
class StateApp:
    """One app with one token, which uses app state. `url` is the base of app state."""

    http: httpx2.AsyncClient
    url: str
    fhir_base: str
    token: str

    def body(self, about: str | None = "Patient/pat-a", *, code: str = CODE, text: str = "x", **changes: Any) -> Any:
        """A resource about the subject. A member changed to None is left out."""
        members = {
            "resourceType": "Basic",
            "code": {"coding": [{"system": ORIGIN, "code": code}]},
            "subject": None if about is None else {"reference": f"{self.fhir_base}/{about}"},
            "extension": [{"url": f"{ORIGIN}/v1", "valueString": text}],
            **changes,
        }
        return {name: value for name, value in members.items() if value is not None}

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request with the token."""
        headers = {"authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return await self.http.request(method, self.url + path, headers=headers, **options)

    async def create(self, about: str | None = "Patient/pat-a", **changes: Any) -> httpx2.Response:
        """Create state about the subject."""
        return await self.request("POST", "/Basic", json=self.body(about, **changes))

    async def update(self, stored: dict[str, Any], if_match: str | None = None, **changes: Any) -> httpx2.Response:
        """Update state, by its version unless `if_match` says another."""
        return await self.request(
            "PUT", f"/Basic/{stored['id']}", json={**stored, **changes}, headers=_version(stored, if_match)
        )

    async def delete(self, stored: dict[str, Any], if_match: str | None = None) -> httpx2.Response:
        """Delete state, by its version unless `if_match` says another."""
        return await self.request("DELETE", f"/Basic/{stored['id']}", headers=_version(stored, if_match))

    async def search(
        self, about: str | None = "Patient/pat-a", *, code: str = CODE, system: str = ORIGIN
    ) -> httpx2.Response:
        """Search for state about the subject."""
        subject = {"subject:missing": "true"} if about is None else {"subject": f"{self.fhir_base}/{about}"}
        return await self.request("GET", "/Basic", params={"code": f"{system}|{code}", **subject})

    async def found(self, about: str | None = "Patient/pat-a", **options: Any) -> list[dict[str, Any]]:
        """What a search finds."""
        response = await self.search(about, **options)
        assert response.status_code == 200, response.text
        return [entry["resource"] for entry in response.json().get("entry", [])]


def _version(stored: dict[str, Any], if_match: str | None) -> dict[str, str]:
    return {"if-match": f'W/"{stored["meta"]["versionId"]}"' if if_match is None else if_match}


async def state_app(
    server: RunningServer, client_id: str = "state-app", scope: str = PATIENT_SCOPE, **options: Any
) -> StateApp:
    """The app with a token of this scope; `options` are those of `RunningServer.request_tokens`."""
    redirects = {
        "state-app": f"{ORIGIN}/callback",
        "sister-app": f"{ORIGIN}/sister",
        "companion-app": "https://companion.example/cb",
        "admin-app": "https://admin.example/cb",
        "foreign-app": "https://foreign.example/cb",
        "two-homes-app": f"{ORIGIN}/cb",
        "closed-app": f"{ORIGIN}/cb",
    }
    tokens = await server.request_tokens(server.app(client_id, redirect_uri=redirects[client_id]), scope, **options)
    return with_token(server, tokens["access_token"])


async def backend_app(server: RunningServer) -> StateApp:
    """A backend service with a token."""
    app: App = server.app("state-backend", key=BACKEND_KEY)
    response = await app.post("/token", {"grant_type": "client_credentials", "scope": "system/Basic.cuds"})
    return with_token(server, response.json()["access_token"])


def with_token(server: RunningServer, token: str) -> StateApp:
    """An app with this token."""
    return StateApp(server.http, f"{server.root}/app-state", server.base, token)


def reason(response: httpx2.Response) -> str:
    """The reason in an OperationOutcome."""
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return str(outcome["issue"][0]["details"]["coding"][0]["code"])
