"""A running SMART server for tests: the gateway in front of a real FHIR server, with clients and users."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from joserfc.jwk import ECKey, RSAKey

from gateway.admin.lasting_parts import LastingAdminParts
from gateway.app import Gateway
from gateway.credentials.passwords import hash_password
from gateway.lasting_parts import LastingParts
from gateway.settings.model import Settings
from gateway.telemetry.audit_events.event_log import AuditEventLog
from tests.proxy.running_gateway import CollectedTelemetry, run_lifespan, serve_on
from tests.servers.ports import free_port
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.smart_app import App

SECRET = "a-long-secret-of-the-symmetric-app"
LAUNCHER_SECRET = "a-long-secret-of-the-ehr"
ADMIN_TOKEN = "a-long-admin-token-for-tests"
CALLBACK = "https://app.example/callback"
LAUNCH_URI = "https://app.example/launch"
PASSWORD_HASH = hash_password("demo")
ASYMMETRIC_KEY = ECKey.generate_key("P-384", parameters={"kid": "app-1"})
BACKEND_KEY = RSAKey.generate_key(2048, parameters={"kid": "backend-1"})
STYLE_URL = "https://gateway.example/style.json"
# A client of each authentication method that acts for users.
USER_CLIENTS = ["public-app", "https://symmetric.example", "asymmetric-app"]


def public_jwks(key: ECKey | RSAKey) -> dict[str, Any]:
    """The public JWKS of a key."""
    return {"keys": [dict(key.as_dict(private=False))]}


def smart_settings() -> dict[str, Any]:
    """Settings with clients and users of every kind."""
    common = {"redirect_uris": [CALLBACK, f"{CALLBACK}?tenant=7"], "launch_uris": [LAUNCH_URI]}
    return {
        "clients": [
            {"client_id": "public-app", "name": "Growth Chart", "purpose": "Shows how a child grows.", **common},
            {"client_id": "other-app", "name": "Another App", **common},
            {"client_id": "old-app", "name": "An Old App", **common, "type": "confidential-symmetric",
             "client_secret": SECRET, "require_pkce": False, "require_state": False},
            {"client_id": "smart-1-app", "name": "App of SMART 1.0", **common, "require_pkce": False},
            {"client_id": "https://symmetric.example", "name": "Symmetric App", **common,
             "type": "confidential-symmetric", "client_secret": SECRET, "may_introspect": True},
            {"client_id": "asymmetric-app", "name": "Asymmetric App", **common, "type": "confidential-asymmetric",
             "jwks": public_jwks(ASYMMETRIC_KEY)},
            {"client_id": "strict-app", "name": "Strict App", **common, "strict_scopes": True},
            {"client_id": "labs-app", "name": "Labs App", **common,
             "scopes": "openid fhirUser launch/patient patient/Observation.rs?category=laboratory patient/Patient.r"},
            {"client_id": "house-app", "name": "Our Own App", **common, "skip_consent": True},
            {"client_id": "backend", "name": "Backend", "type": "confidential-asymmetric",
             "grant_types": ["client_credentials"], "jwks": public_jwks(BACKEND_KEY), "may_introspect": True,
             "scopes": "system/Patient.rs system/Observation.rs __introspect"},
        ],
        "users": [
            {"username": "doctor", "name": "Dr Dora Demo", "password_hash": PASSWORD_HASH,
             "fhir_user": "Practitioner/practitioner-1"},
            {"username": "nurse", "name": "Nina Nurse", "password_hash": PASSWORD_HASH,
             "fhir_user": "Practitioner/practitioner-2"},
            {"username": "patient", "name": "Pat A", "password_hash": PASSWORD_HASH, "fhir_user": "Patient/pat-a"},
            {"username": "clerk", "name": "Carl Clerk", "password_hash": PASSWORD_HASH},
        ],
        "launchers": [
            {"client_id": "ehr", "client_secret": LAUNCHER_SECRET},
            {"client_id": "trusted-ehr", "client_secret": LAUNCHER_SECRET, "vouches_for_users": True},
        ],
        "admin_token": ADMIN_TOKEN,
        "style_url": STYLE_URL,
        # Tests send more than any hospital does.
        "rate_limits": {"authorization_requests": 0, "token_requests": 0, "failed_grants": 0},
    }  # fmt: skip


@dataclass
class RunningServer:
    """The running gateway, its URLs, and a factory of apps and people."""

    root: str
    base: str
    issuer: str
    http: httpx2.AsyncClient
    local_gateway: Gateway | None = None
    telemetry: CollectedTelemetry = field(default_factory=CollectedTelemetry)
    people: list[Person] = field(default_factory=list)

    @property
    def gateway(self) -> Gateway:
        """The gateway, if it runs in this process."""
        assert self.local_gateway is not None
        return self.local_gateway

    def app(self, client_id: str = "public-app", **changes: Any) -> App:
        """A configured client with its credentials."""
        proofs: dict[str, dict[str, Any]] = {
            "old-app": {"secret": SECRET},
            "https://symmetric.example": {"secret": SECRET},
            "asymmetric-app": {"key": ASYMMETRIC_KEY},
            "backend": {"key": BACKEND_KEY},
        }
        return App(self.issuer, self.base, self.http, client_id, **{**proofs.get(client_id, {}), **changes})

    def person(self) -> Person:
        """A person with a new browser."""
        person = Person(self.root)
        self.people.append(person)
        return person

    async def open_consent_page(
        self, app: App, scope: str, *, user: str = "doctor", patient: str = "pat-a", person: Person | None = None,
        **changes: str | None,
    ) -> tuple[Person, Page]:  # fmt: skip
        """Sign in, choose a patient if there is a picker, and open the consent page."""
        person = person or self.person()
        page = await person.open(app.authorization_url(scope, **changes))
        if page.left_for is None and page.forms and page.forms[0].action.endswith("/login"):
            page = await person.sign_in(page, user)
        if page.left_for is None and any(form.action.endswith("/patient") for form in page.forms):
            page = await person.choose_patient(page, patient)
        if page.left_for is None and any(form.action.endswith("/encounter") for form in page.forms):
            page = await person.submit(page, "/encounter", encounter="", decision="choose")
        return person, page

    async def request_code(self, app: App, scope: str, **options: Any) -> str:
        """An authorization code for the whole requested scope."""
        person, page = await self.open_consent_page(app, scope, **options)
        if page.left_for is None:
            page = await person.agree(page)
        assert "code" in page.parameters, page.parameters
        assert page.parameters.get("state") == app.state
        return page.parameters["code"]

    async def request_tokens(self, app: App, scope: str, **options: Any) -> dict[str, Any]:
        """The token response for the whole requested scope."""
        response = await app.exchange(await self.request_code(app, scope, **options))
        assert response.status_code == 200, response.text
        return dict(response.json())


@contextlib.asynccontextmanager
async def run_smart_server(
    upstream: str,
    *,
    change: Callable[[dict[str, Any]], None] | None = None,
    port: int | None = None,
    admin: LastingAdminParts | None = None,
    audit_events: AuditEventLog | None = None,
) -> AsyncIterator[RunningServer]:
    """Run a gateway with a SMART server. `change` may change its settings; `admin` is for one with an admin port."""
    port = port or free_port()
    root = f"http://127.0.0.1:{port}"
    settings: dict[str, Any] = {
        "public_base_url": f"{root}/fhir",
        "development": True,
        "upstream": {"base_url": upstream},
        "smart_server": smart_settings(),
    }
    if change is not None:
        change(settings)
    seen = CollectedTelemetry(_audit_events=audit_events)
    validated = Settings.model_validate(settings)
    lasting = LastingParts(validated, admin=admin)
    gateway = Gateway(validated, seen, lasting)
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as http, run_lifespan(gateway), serve_on(gateway, port):
        server = RunningServer(root, f"{root}/fhir", f"{root}/auth", http, gateway, seen)
        yield server
        for person in server.people:
            await person.aclose()
    await lasting.aclose()
    assert not seen.faults, "the gateway answered with an error of its own"
