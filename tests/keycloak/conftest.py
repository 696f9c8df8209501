"""Fixtures: one Keycloak for the session, and a new realm for each module as in docs/keycloak.md."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.keycloak.keycloak_document import read_json_block
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.keycloak.administration import Administration, ManagedRealm
from tests.servers.keycloak.realm import JsonObject, Realm
from tests.servers.keycloak.starting import start_or_skip
from tests.servers.process import Server

APP, SECRET = "growth-chart", "a-secret-for-tests"
PASSWORD = "correct horse"
LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@dataclass(frozen=True)
class Clinic:
    """The realm with the documented scopes and apps. User anna is a patient, otto a practitioner."""

    managed: ManagedRealm
    ids: dict[str, str]
    """The internal ids of users and clients, by name."""

    @property
    def realm(self) -> Realm:
        """The realm for apps."""
        return self.managed.realm

    async def tokens(
        self, scope: str = "launch/patient patient/*.rs", user: str = "anna", app: str = APP
    ) -> JsonObject:
        """The token response of the documented app, by the code flow."""
        return await self.realm.code_flow(app, REDIRECT_URI, user, PASSWORD, f"openid {scope}")

    async def access_token(self, scope: str = "launch/patient patient/*.rs", user: str = "anna", app: str = APP) -> str:
        """The access token of the documented app."""
        token: str = (await self.tokens(scope, user, app))["access_token"]
        return token

    async def add_app(self, client_id: str, **changes: Any) -> None:
        """Add the documented app under another name, with changes."""
        self.ids[client_id] = await self.managed.add_client(
            {**read_json_block("app"), "clientId": client_id, **changes}
        )


REDIRECT_URI = read_json_block("app")["redirectUris"][0]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Server]:
    with start_or_skip() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(keycloak: Server) -> AsyncIterator[Clinic]:
    async with Administration(keycloak.base_url) as administration, administration.realm() as realm:
        await realm.declare_attributes(read_json_block("user-profile"))
        scopes = {scope["name"]: await realm.add_client_scope(scope) for scope in read_json_block("client-scopes")}
        ids = {
            "smart-gateway": await realm.add_client({**read_json_block("introspecting-client"), "secret": SECRET}),
            APP: await realm.add_client(read_json_block("app")),
            "anna": await realm.add_user("anna", PASSWORD, fhirUser="Patient/pat-a", patient="pat-a"),
            "otto": await realm.add_user("otto", PASSWORD, fhirUser="Practitioner/practitioner-1"),
        }
        mappers = f"/client-scopes/{scopes['fhir-gateway']}/protocol-mappers/models"
        await realm.request("POST", mappers, read_json_block("introspection-mapper"))
        yield Clinic(realm, ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def charts() -> AsyncIterator[LenientServer]:
    """A FHIR server that ignores search parameters, with records of both patients."""
    async with lenient_server(*_records(), Observation=("patient", "category"), Patient=("_id",)) as lenient:
        yield lenient


def _records() -> Iterator[dict[str, Any]]:
    for patient in ("pat-a", "pat-b"):
        yield {"resourceType": "Patient", "id": patient}
        for category in ("laboratory", "vital-signs"):
            coding = {"system": LABORATORY.partition("|")[0], "code": category}
            yield {
                "resourceType": "Observation",
                "id": f"{patient}-{category}",
                "status": "final",
                "category": [{"coding": [coding]}],
                "code": {"text": "something"},
                "subject": {"reference": f"Patient/{patient}"},
            }
