"""Clients and users with limited rights, and steps on the consent page."""

from typing import Any

from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import CALLBACK, RunningServer

LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
NATIVE = "com.example.app:/callback"


def restrict_clients_and_users(settings: dict[str, Any]) -> None:
    """Add clients and users with fewer rights than others."""
    smart = settings["smart_server"]
    clients: dict[str, dict[str, Any]] = {
        "never-app": {"may_refresh": False},
        "native-app": {"redirect_uris": [NATIVE]},
        "custom-app": {"scopes": "openid patient/*.rs __photo https://ehr.example/scopes/photo.manage"},
        "user-app": {"scopes": "user/Patient.rs user/Observation.r"},
    }
    for client_id, entry in clients.items():
        smart["clients"].append({"client_id": client_id, "name": client_id, "redirect_uris": [CALLBACK], **entry})
    registrar = {
        "username": "registrar",
        "name": "Rita Registrar",
        "password_hash": smart["users"][0]["password_hash"],
    }
    smart["users"].append({**registrar, "fhir_user": "PractitionerRole/role-1"})
    smart["user_scopes"] = {
        "Patient": "patient/*.rs user/*.rs",
        "Practitioner": "patient/*.rs user/*.rs",
        "PractitionerRole": "patient/Patient.r patient/Observation.rs?category=vital-signs",
    }


def row_with_part(page: Page, scope: str) -> int:
    """The index of the row with this part; rows are in the order of the request."""
    for name, values in page.form("/consent").choices.items():
        if name.startswith("part-") and scope in values:
            return int(name.removeprefix("part-"))
    raise AssertionError(f"{scope} cannot be chosen")


async def remember_consent(
    server: RunningServer, scope: str, *, person: Person, client_id: str = "public-app", **changes: str
) -> None:
    """Agree to all scopes as the nurse, and have that remembered."""
    _, page = await server.open_consent_page(
        server.app(client_id, **changes), scope, person=person, user="nurse", prompt="consent"
    )
    page = await person.agree(page, remember="yes")
    assert "code" in page.parameters
