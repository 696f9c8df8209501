"""docs/openapi.yaml says what there is: each route, and each member of requests and responses, and no other."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.routing import BaseRoute, Mount, Route

from gateway.oauth.launch_context import read_launch_context
from gateway.settings.authorization.clients import ClientEntry
from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.settings.model import Settings
from gateway.smart_server.assembly import SmartServerAssembly
from gateway.smart_server.lasting_parts import LastingServerParts
from gateway.upstream.documents.control_client import ControlClient
from tests.smart_server.admin_client import admin_request
from tests.smart_server.ehr_launcher import post_launch
from tests.smart_server.running_server import ASYMMETRIC_KEY, PASSWORD_HASH, SECRET, RunningServer, public_jwks
from tests.smart_server.smart_app import JWT_BEARER

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

FILE = Path(__file__).parents[2] / "docs" / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
_METHODS = {"get", "post", "patch", "delete"}
_CALLBACK = ["https://documented.example/callback"]


def members(name: str) -> set[str]:
    """The members of a schema, with those of the schemas that it combines."""
    return _members(SCHEMAS[name])


def _members(schema: Mapping[str, Any]) -> set[str]:
    if "$ref" in schema:
        return members(schema["$ref"].rpartition("/")[2])
    combined = [_members(part) for part in schema.get("allOf", ())]
    return set(schema.get("properties", ())).union(*combined)


def documented_operations() -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item if method in _METHODS}


def _operations(routes: list[BaseRoute]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for route in routes:
        if isinstance(route, Mount):
            found |= _operations(route.routes)
        elif isinstance(route, Route):
            path = re.sub(r":\w+}", "}", route.path)
            found |= {(path, method) for method in (route.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


class _NoFhirServer:
    async def get(self, *_: object) -> Mapping[str, Any]:
        raise AssertionError


async def test_each_route_of_these_apis_is_there_with_its_methods_and_no_other() -> None:
    settings = Settings.model_validate(
        {"public_base_url": "http://127.0.0.1:1/fhir", "development": True, "smart_server": {},
         "upstream": {"base_url": "http://127.0.0.1:2/fhir"}}
    )  # fmt: skip
    assert settings.smart_server is not None
    lasting, client = LastingServerParts(settings.smart_server, development=True), ControlClient()
    assembly = SmartServerAssembly(settings, lasting)
    assembly.open(_NoFhirServer(), client, lambda _: None)
    served = {
        (path, method)
        for path, method in _operations(assembly.routes("/fhir"))
        if path in {"/launch", "/introspect"} or path.startswith("/admin")
    }
    assert served == documented_operations()
    await lasting.aclose()
    await client.aclose()


async def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r"\$ref: '#/([\w/]+)'", FILE.read_text(encoding="utf-8")):
        value: Any = DOCUMENT
        for name in reference.split("/"):
            value = value[name]


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_what_is_documented_as_protected_is_protected(server: RunningServer, path: str) -> None:
    for method in _METHODS & set(DOCUMENT["paths"][path]):
        operation = DOCUMENT["paths"][path][method]
        response = await server.http.request(method.upper(), server.issuer + path.format(client_id="x"), data={})
        assert str(response.status_code) in operation["responses"]
        assert response.status_code in {400, 401}
        assert {"problems", "error"} & response.json().keys()


async def test_clients_and_users_have_the_members_of_the_settings() -> None:
    assert members("Client") == set(ClientEntry.model_fields)
    assert members("NewUser") == {*LocalUserEntry.model_fields, "password"}


VALUES: dict[str, Any] = {
    "patient": "pat-a", "encounter": "e", "fhirContext": [], "need_patient_banner": True, "intent": "x",
    "smart_style_url": "https://ehr.example/s", "tenant": "x", "appContext": "x",
}  # fmt: skip


async def test_the_launch_context_has_the_members_of_a_token_response() -> None:
    assert members("LaunchContext") == set(VALUES)
    read = read_launch_context({**VALUES, "fhirContext": [{"reference": "List/1"}]})
    assert set(read.parameters()) == set(VALUES)
    item = {"reference": "List/1", "canonical": "https://x.example/1", "identifier": {"value": "1"}, "type": "List",
            "role": "https://x.example/r"}  # fmt: skip
    assert members("FhirContextItem") == set(item)
    assert read_launch_context({"fhirContext": [item]}).fhir_context == (item,)


async def test_each_member_of_a_launch_is_read_and_answered(server: RunningServer) -> None:
    (uri,) = (await admin_request(server, "POST", "/clients?replace=true", CLIENT)).json()["launch_uris"]
    named = {"subject": "x", "name": "X", "fhirUser": "Practitioner/practitioner-1"}
    body = {"client_id": "documented", "launch_uri": uri, "user": named, "context": {"patient": "pat-a"}}
    assert {*body, "task"} == members("LaunchRequest")
    assert set(named) == members("LaunchUser")
    response = await post_launch(server, **body)
    assert (response.status_code, set(response.json())) == (201, members("Launch"))
    refused = await post_launch(server, **body, other=1)
    assert (refused.status_code, set(refused.json())) == (400, members("LaunchProblems"))
    provider_user = dict.fromkeys(members("ProviderUser"), "x")
    refused = await post_launch(server, **{**body, "user": provider_user})
    assert refused.json()["problems"] == ["user.provider must be the issuer of an identity provider of this server."]


CLIENT: dict[str, Any] = {
    "client_id": "documented", "name": "Documented", "redirect_uris": _CALLBACK,
    "launch_uris": ["https://documented.example/launch"],
}  # fmt: skip


async def test_responses_about_clients_have_the_members_that_are_documented(server: RunningServer) -> None:
    added = await admin_request(server, "POST", "/clients?replace=true", {**CLIENT, "type": "confidential-symmetric"})
    assert set(added.json()) <= members("Client")
    assert "client_secret" in added.json()
    changed = await admin_request(server, "PATCH", "/clients/documented", {"disabled": False, "purpose": "x"})
    assert set(changed.json()) <= members("Client")
    shown = await admin_request(server, "GET", "/clients/documented")
    assert set(shown.json()) <= members("StoredClient")
    assert {"disabled", "registered_at"} < set(shown.json())
    configured = await admin_request(server, "GET", "/clients/public-app")
    assert set(configured.json()) == members("ClientSummary")
    listed = (await admin_request(server, "GET", "/clients")).json()
    assert set(listed) == members("Clients")
    assert {frozenset(client) for client in listed["clients"]} == {frozenset(members("ClientSummary"))}
    ended = (await admin_request(server, "DELETE", "/clients/documented")).json()
    removed = (await admin_request(server, "DELETE", "/clients/documented?remove=true")).json()
    assert {*ended, *removed} == members("EndedClient")
    assert set((await admin_request(server, "GET", "/clients/documented")).json()) == members("Problems")


async def test_responses_about_users_and_grants_have_the_members_that_are_documented(server: RunningServer) -> None:
    user = {"username": "documented", "name": "D", "password_hash": PASSWORD_HASH}
    assert set((await admin_request(server, "POST", "/users", user)).json()) == members("AddedUser")
    listed = (await admin_request(server, "GET", "/users")).json()
    assert set(listed) == members("Users")
    assert {frozenset(shown) for shown in listed["users"]} == {frozenset(members("User"))}
    named = {"user": "documented", "provider": "local"}
    assert set(named) == members("NamedUser")
    new_password = {**named, "password": "another password"}
    assert {*new_password, "password_hash"} == members("NewPassword")
    for path, body in (("/users/password", new_password), ("/users/disable", named), ("/users/enable", named),
                       ("/sessions/end", {"user": "doctor"}), ("/users/remove", named)):  # fmt: skip
        assert set((await admin_request(server, "POST", path, body)).json()) == members("ChangedUser"), path
    await server.request_tokens(server.app(), "launch/patient patient/Patient.r")
    listed = (await admin_request(server, "GET", "/grants?client=public-app&patient=pat-a&user=doctor")).json()
    assert set(listed) == members("Grants")
    assert set(listed["grants"][0]) == members("Grant")
    parameters = {parameter["name"] for parameter in DOCUMENT["paths"]["/admin/grants"]["get"]["parameters"]}
    criteria = {"user": "doctor", "provider": "local", "client": "public-app", "patient": "pat-a"}
    assert members("GrantCriteria") == parameters == set(criteria)
    assert set((await admin_request(server, "POST", "/grants/end", criteria)).json()) == members("EndedGrants")


async def test_responses_about_tokens_and_keys_have_the_members_that_are_documented(server: RunningServer) -> None:
    tokens = await server.request_tokens(server.app(), "launch/patient openid fhirUser patient/Patient.r")
    shown = await admin_request(server, "POST", "/token", {"token": tokens["access_token"]})
    told = members("Introspection") | members("LaunchContext")
    assert {*shown.json(), "encounter", "roles", "purpose_of_use"} == members("Introspection") | {"smart_style_url"}
    assert set((await admin_request(server, "POST", "/keys/rotate")).json()) == members("Keys")
    entry = {"client_id": "asker", "name": "Asker", "grant_types": [], "may_introspect": True,
             "type": "confidential-asymmetric", "jwks": public_jwks(ASYMMETRIC_KEY)}  # fmt: skip
    assert (await admin_request(server, "POST", "/clients?replace=true", entry)).status_code == 201
    asker = server.app("asker", key=ASYMMETRIC_KEY)
    form = {"token": tokens["access_token"], "token_type_hint": "access_token", "client_id": "asker",
            "client_assertion": asker.assertion(), "client_assertion_type": JWT_BEARER}  # fmt: skip
    assert set(form) == members("IntrospectionRequest")
    introspected = await server.http.post(f"{server.issuer}/introspect", data=form)
    assert introspected.json()["active"] is True
    assert set(introspected.json()) <= told
    refused = await server.app("old-app", secret=SECRET).post("/introspect", {"token": "x"})
    assert (refused.status_code, set(refused.json())) == (403, members("OAuthError"))
