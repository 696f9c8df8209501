"""Rules for clients of the configuration, of the admin API and of dynamic registration (checklist 1.2)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from pydantic import ValidationError

from gateway.oauth.client.client import AuthenticationMethod, GrantType
from gateway.settings.authorization.clients import ClientEntry
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port
from tests.smart_server.running_server import (
    ADMIN_TOKEN,
    ASYMMETRIC_KEY,
    CALLBACK,
    LAUNCHER_SECRET,
    RunningServer,
    public_jwks,
    run_smart_server,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

HASH = "sha256:" + "0" * 64
APP: dict[str, Any] = {"client_id": "app", "name": "App", "redirect_uris": [CALLBACK]}
BACKEND: dict[str, Any] = {
    "client_id": "service", "name": "Service", "type": "confidential-asymmetric", "jwks": public_jwks(ASYMMETRIC_KEY),
    "grant_types": ["client_credentials"], "scopes": "system/Patient.rs",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server with dynamic client registration."""
    async with run_smart_server(
        fhir_server, change=lambda item: item["smart_server"].update(registration=True)
    ) as server:
        yield server


async def post_client(server: RunningServer, **entry: Any) -> httpx2.Response:
    """Add a client by the admin API."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    return await server.http.post(f"{server.issuer}/admin/clients", json=entry, headers=headers)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "R-2: no redirect address": ({**APP, "redirect_uris": []}, "redirect_uris"),
    "R-2: a wildcard": ({**APP, "redirect_uris": ["https://*.app.example/callback"]}, "redirect_uris"),
    "R-2: a variable port": ({**APP, "redirect_uris": ["http://127.0.0.1:*/callback"]}, "redirect_uris"),
    "R-2: a part of an address": ({**APP, "redirect_uris": ["/callback"]}, "redirect_uris"),
    "R-2: an address with a fragment": ({**APP, "redirect_uris": [f"{CALLBACK}#here"]}, "redirect_uris"),
    "R-2: a launch address that is none": ({**APP, "launch_uris": ["/launch"]}, "launch_uris"),
    "R-5: a secret app without secret": (
        {**APP, "type": "confidential-symmetric"},
        "the entry",
    ),
    "R-5: a signing app without keys": ({**APP, "type": "confidential-asymmetric"}, "the entry"),
    "R-5: a public app with a secret": ({**APP, "client_secret_hash": HASH}, "client_secret_hash"),
    "R-8: keys in the clear": (
        {**APP, "type": "confidential-asymmetric", "jwks_uri": "http://app.example/jwks"},
        "jwks_uri",
    ),
    "R-9: keys without kid": (
        {**APP, "type": "confidential-asymmetric", "jwks": {"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}},
        "jwks",
    ),
    "R-10: a service without system scopes": ({**BACKEND, "scopes": "patient/*.rs"}, "scopes"),
    "R-10: a service without scopes": ({name: BACKEND[name] for name in BACKEND if name != "scopes"}, "scopes"),
    "R-11: two ways to prove itself": (
        {**APP, "type": "confidential-asymmetric", "jwks": public_jwks(ASYMMETRIC_KEY), "client_secret_hash": HASH},
        "client_secret_hash",
    ),
    "R-11: keys by address and by value": (
        {**BACKEND, "jwks_uri": "https://app.example/jwks"},
        "exactly one of jwks and jwks_uri",
    ),
    "CS-2: a service with a secret": (
        {**BACKEND, "type": "confidential-symmetric", "jwks": None, "client_secret_hash": HASH},
        "grant_types",
    ),
}


@pytest.mark.requirement("R-2", "R-5", "R-8", "R-9", "R-10", "R-11", "CS-2", "BS-1")
@pytest.mark.parametrize(("entry", "member"), REFUSED.values(), ids=REFUSED)
async def test_an_entry_that_is_refused(server: RunningServer, entry: dict[str, Any], member: str) -> None:
    """The configuration and the admin API refuse it, and name every problem."""
    members = {name: value for name, value in entry.items() if value is not None}
    with pytest.raises(ValidationError):
        ClientEntry.model_validate(members)
    if members.get("type") == "confidential-symmetric" and "client_secret_hash" not in members:
        return
    answer = await post_client(server, **members)
    assert answer.status_code == 400
    assert any(member in problem for problem in answer.json()["problems"])


@pytest.mark.requirement("R-11")
async def test_an_entry_says_all_that_an_operator_decides() -> None:
    entry = ClientEntry.model_validate(
        {**APP, "type": "confidential-symmetric", "client_secret": "a-secret", "scopes": "patient/*.rs openid",
         "origins": ["https://web.example"], "may_refresh": False, "may_introspect": True}
    )  # fmt: skip
    client = entry.to_client()
    assert client.authentication is AuthenticationMethod.CLIENT_SECRET_BASIC
    assert client.grant_types == {GrantType.AUTHORIZATION_CODE}
    assert client.scopes is not None
    assert client.origins == {"https://web.example", "https://app.example"}
    assert (client.may_refresh, client.may_introspect) == (False, True)
    assert "a-secret" not in repr(client)


@pytest.mark.requirement("R-1", "E-1")
async def test_only_registered_apps_run_and_only_where_they_are_registered(server: RunningServer) -> None:
    page = await server.person().open(server.app("nobody").authorization_url("patient/Patient.r"))
    assert (page.status, page.left_for) == (400, None)
    for body in (
        {"client_id": "nobody"},
        {"client_id": "public-app", "launch_uri": "https://elsewhere.example/launch"},
        {"client_id": "backend"},
    ):
        answer = await server.http.post(f"{server.issuer}/launch", json=body, auth=("ehr", LAUNCHER_SECRET))
        assert answer.status_code == 400, body


@pytest.mark.requirement("R-3", "R-5")
async def test_who_adds_an_app_is_told_its_id_and_its_secret_once(server: RunningServer) -> None:
    body = (await post_client(server, name="New", type="confidential-symmetric", redirect_uris=[CALLBACK])).json()
    app = server.app(body["client_id"], secret=body["client_secret"])
    assert "access_token" in await server.request_tokens(app, "patient/Patient.r")
    response = await server.http.get(
        f"{server.issuer}/admin/clients/{body['client_id']}", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    assert response.json()["name"] == "New"
    assert not {"client_secret", "client_secret_hash"} & set(response.json())
    assert (await post_client(server, **{**APP, "client_id": "public-app"})).status_code == 409


@pytest.mark.requirement("R-3", "R-4", "R-7", "D-19")
async def test_an_app_registers_itself_where_that_is_allowed(open_house: RunningServer) -> None:
    """As in RFC 7591, with a client_id that the server chooses, so that it cannot replace another client."""
    discovery = (await open_house.http.get(f"{open_house.base}/.well-known/smart-configuration")).json()
    metadata = {"client_name": "Self-made", "redirect_uris": [CALLBACK], "client_id": "asymmetric-app",
                "token_endpoint_auth_method": "private_key_jwt", "jwks": public_jwks(OTHER_KEY)}  # fmt: skip
    answer = await open_house.http.post(discovery["registration_endpoint"], json=metadata)
    assert answer.status_code == 201
    assert answer.json()["client_id"] != "asymmetric-app"
    app = open_house.app(answer.json()["client_id"], key=OTHER_KEY)
    assert "access_token" in await open_house.request_tokens(app, "patient/Patient.r")
    intruder = open_house.app("asymmetric-app", key=OTHER_KEY)
    code = await open_house.request_code(intruder, "patient/Patient.r")
    assert (await intruder.exchange(code)).json()["error"] == "invalid_client"
    bad = await open_house.http.post(discovery["registration_endpoint"], json={"redirect_uris": ["https://*.example/"]})
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_redirect_uri")


OTHER_KEY = ECKey.generate_key("P-384", parameters={"kid": "app-1"})


class KeyServer:
    """Serves a JWKS and records the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to one request."""
        self.asked.append((scope["method"], {name.decode(): value.decode() for name, value in scope["headers"]}))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(public_jwks(ASYMMETRIC_KEY)).encode()})


@pytest.mark.requirement("R-6", "R-8", "CA-10")
async def test_keys_are_registered_by_address_as_well_as_by_value(server: RunningServer) -> None:
    """By value: the configured asymmetric app. By `jwks_uri`: fetched by GET, as JSON, without credentials."""
    assert "access_token" in await server.request_tokens(server.app("asymmetric-app"), "patient/Patient.r")
    keys, port = KeyServer(), free_port()
    async with serve_on(keys, port):
        entry = {**APP, "client_id": "by-address", "type": "confidential-asymmetric"}
        added = await post_client(server, **entry, jwks_uri=f"http://127.0.0.1:{port}/jwks")
        assert added.status_code == 201, added.text
        app = server.app("by-address", key=ASYMMETRIC_KEY)
        assert "access_token" in await server.request_tokens(app, "patient/Patient.r")
    ((method, headers),) = keys.asked
    assert method == "GET"
    assert headers["accept"] == "application/json"
    assert not {"authorization", "cookie"} & set(headers)


async def post_registration(server: RunningServer, **metadata: Any) -> httpx2.Response:
    """A dynamic registration of a public app."""
    members = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **metadata}
    return await server.http.post(f"{server.issuer}/register", json=members)


async def test_an_app_that_registered_itself_is_offered_to_nobody_in_the_gallery(open_house: RunningServer) -> None:
    """Any app may register the name and logo of a known app."""
    body = await post_registration(open_house, client_name="Growth Chart", launch_uris=["https://evil.example/launch"])
    assert body.status_code == 201
    person = open_house.person()
    page = await person.sign_in(await person.open(f"{open_house.issuer}/apps"))
    assert 'value="public-app"' in page.html
    assert body.json()["client_id"] not in page.html
    assert "self_registered" not in body.json()
    response = await open_house.http.get(
        f"{open_house.issuer}/admin/clients/{body.json()['client_id']}",
        headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
    )
    assert response.json()["self_registered"] is True


async def test_an_app_that_registers_itself_names_no_more_scopes_than_it_could_ask_for(
    open_house: RunningServer,
) -> None:
    scope = " ".join(f"patient/Observation.r?code={number:x}" for number in range(400))
    answer = await post_registration(open_house, scope=scope)
    assert answer.json()["error"] == "invalid_client_metadata"


UNSEEN = {
    "a command for a terminal": "a\x1b]52;c;cm0=\x07",
    "a command in one character": "a\x9b2J",
    "a line of its own": "Good\nclient  none  configuration  enabled  Real",
    "a line of its own in Unicode": "Good\u2028client",
    "a line that is turned around": "Good\u202eppA",
    "nothing that anybody sees": "\u200b",
    "joiners of nothing": "\u200d\u200c",
}


@pytest.mark.parametrize("name", UNSEEN.values(), ids=UNSEEN)
async def test_a_name_is_what_people_see(open_house: RunningServer, name: str) -> None:
    with pytest.raises(ValidationError):
        ClientEntry.model_validate({**APP, "name": name})
    if name == UNSEEN["a command for a terminal"]:
        assert (await post_registration(open_house, client_name=name)).json()["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("name", ["Kinderärzte & Co", "نمی\u200cشود", "क्\u200dष", "小児科アプリ", "🩺 App"])
async def test_a_name_may_be_of_any_language(name: str) -> None:
    assert ClientEntry.model_validate({**APP, "name": name}).name == name
