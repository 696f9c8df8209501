"""The realm of docs/keycloak.md: who may change the attributes that give access, and the documented endpoints."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.settings.model import AuthorizationServer
from tests.keycloak.conftest import PASSWORD, Clinic
from tests.keycloak.keycloak_document import load_documented_settings, read_json_block
from tests.servers.keycloak.administration import Administration, ManagedRealm
from tests.servers.keycloak.realm import Realm, claims
from tests.servers.process import Server

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]

CHOSEN = {"patient": ["pat-b"], "fhirUser": ["Patient/pat-b"]}


async def set_account_attribute(realm: Realm, token: str) -> httpx2.Response:
    """What the account console sends when a user saves attributes."""
    account, headers = f"{realm.issuer}/account", {"authorization": f"Bearer {token}", "accept": "application/json"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
        known = (await client.get(account)).json()
        return await client.post(account, json={**known, "attributes": CHOSEN})


async def test_a_user_cannot_choose_another_patient(clinic: Clinic) -> None:
    await clinic.add_app("account-page", defaultClientScopes=["basic", "roles"], optionalClientScopes=["profile"])
    answer = await set_account_attribute(clinic.realm, await clinic.access_token("profile", app="account-page"))
    assert answer.status_code == 400
    assert {error["errorMessage"] for error in answer.json()["errors"]} == {"error-user-attribute-read-only"}
    token_claims = claims(await clinic.access_token("fhirUser launch/patient"))
    assert (token_claims["patient"], token_claims["fhirUser"]) == ("pat-a", "Patient/pat-a")


async def test_where_unmanaged_attributes_are_enabled_instead_every_chart_is_open(keycloak: Server) -> None:
    """The reason for the warning in docs/keycloak.md."""
    async with Administration(keycloak.base_url) as administration, administration.realm() as realm:
        profile = (await realm.request("GET", "/users/profile")).json()
        await realm.request("PUT", "/users/profile", {**profile, "unmanagedAttributePolicy": "ENABLED"})
        await set_up_realm(realm)
        assert claims(await issue_token(realm))["patient"] == "pat-a"
        assert (await set_account_attribute(realm.realm, await issue_token(realm))).status_code == 204
        assert claims(await issue_token(realm))["patient"] == "pat-b"


async def set_up_realm(realm: ManagedRealm) -> None:
    for scope in read_json_block("client-scopes"):
        await realm.add_client_scope(scope)
    settings: dict[str, Any] = {"directAccessGrantsEnabled": True, "defaultClientScopes": ["basic", "roles"]}
    await realm.add_client({**read_json_block("app"), **settings})
    await realm.add_user("anna", PASSWORD, patient="pat-a")


async def issue_token(realm: ManagedRealm) -> str:
    answer = await realm.realm.password_grant(
        read_json_block("app")["clientId"], "anna", PASSWORD, "openid launch/patient"
    )
    token: str = answer["access_token"]
    return token


@pytest.mark.parametrize("name", ["gateway", "introspecting-gateway"])
async def test_the_page_names_the_endpoints_that_keycloak_announces(clinic: Clinic, tmp_path: Path, name: str) -> None:
    settings = load_documented_settings(name, tmp_path, issuer=clinic.realm.issuer, secret="secret")
    async with httpx2.AsyncClient(trust_env=False) as client:
        announced = (await client.get(f"{clinic.realm.issuer}/.well-known/openid-configuration")).json()
    [issuer] = settings.issuers
    assert issuer.issuer == announced["issuer"]
    assert issuer.jwks_url in {None, announced["jwks_uri"]}
    assert issuer.introspection is None or issuer.introspection.endpoint == announced["introspection_endpoint"]
    server = settings.authorization_server
    assert isinstance(server, AuthorizationServer)
    for member, value in server.smart_configuration().items():
        if isinstance(value, str):
            assert value == announced[member], member


async def test_with_a_host_name_configured_the_issuer_does_not_follow_the_host_header(clinic: Clinic) -> None:
    url = f"{clinic.realm.issuer}/.well-known/openid-configuration"
    async with httpx2.AsyncClient(trust_env=False) as client:
        announced = (await client.get(url, headers={"host": "elsewhere.example"})).json()
    assert announced["issuer"] == clinic.realm.issuer
