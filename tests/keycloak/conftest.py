"""One Keycloak for the run, a fresh realm for each module, set up as docs/keycloak.md says."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway.lenient import Lenient, lenient_server
from tests.keycloak.document import printed
from tests.servers.keycloak.administration import Administration, ManagedRealm
from tests.servers.keycloak.realm import Answer, Realm
from tests.servers.keycloak.starting import start_or_skip
from tests.servers.process import Server

APP, SECRET = "growth-chart", "a-secret-for-tests"
PASSWORD = "correct horse"
LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


@dataclass(frozen=True)
class Clinic:
    """The realm, its scopes and apps as printed, and its people: anna is a patient, otto a practitioner."""

    managed: ManagedRealm
    ids: dict[str, str]
    """Internal ids: of users and clients by their name."""

    @property
    def realm(self) -> Realm:
        """As apps see it."""
        return self.managed.front

    async def tokens(self, scope: str = "launch/patient patient/*.rs", user: str = "anna", app: str = APP) -> Answer:
        """The token response of the printed app, by the code flow."""
        return await self.realm.by_code(app, REDIRECT_URI, user, PASSWORD, f"openid {scope}")

    async def access_token(self, scope: str = "launch/patient patient/*.rs", user: str = "anna", app: str = APP) -> str:
        """The access token of that response."""
        token: str = (await self.tokens(scope, user, app))["access_token"]
        return token

    async def add_app(self, client_id: str, **changes: Any) -> None:
        """The printed app under another name, with some changes."""
        self.ids[client_id] = await self.managed.add_client({**printed("app"), "clientId": client_id, **changes})


REDIRECT_URI = printed("app")["redirectUris"][0]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Server]:
    with start_or_skip() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(keycloak: Server) -> AsyncIterator[Clinic]:
    async with Administration(keycloak.base_url) as administration, administration.realm() as realm:
        await realm.declare_attributes(printed("user-profile"))
        scopes = {one["name"]: await realm.add_client_scope(one) for one in printed("client-scopes")}
        ids = {
            "smart-gateway": await realm.add_client({**printed("introspecting-client"), "secret": SECRET}),
            APP: await realm.add_client(printed("app")),
            "anna": await realm.add_user("anna", PASSWORD, fhirUser="Patient/pat-a", patient="pat-a"),
            "otto": await realm.add_user("otto", PASSWORD, fhirUser="Practitioner/practitioner-1"),
        }
        mappers = f"/client-scopes/{scopes['fhir-gateway']}/protocol-mappers/models"
        await realm.ask("POST", mappers, printed("introspection-mapper"))
        yield Clinic(realm, ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def charts() -> AsyncIterator[Lenient]:
    """A FHIR server that narrows nothing, with a record of each kind of both patients."""
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
