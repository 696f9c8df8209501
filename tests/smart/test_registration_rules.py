"""Who may be a client: by configuration, by the admin API, or by registering itself (checklist 1.2)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from pydantic import ValidationError

from gateway.oauth.client import AuthenticationMethod, GrantType
from gateway.settings.clients import ClientEntry
from tests.gateway.running import served
from tests.servers.process import free_port
from tests.smart.house import ADMIN_TOKEN, ASYMMETRIC_KEY, CALLBACK, LAUNCHER_SECRET, House, jwks, smart_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

APP: dict[str, Any] = {"client_id": "app", "name": "App", "redirect_uris": [CALLBACK]}
BACKEND: dict[str, Any] = {
    "client_id": "service", "name": "Service", "type": "confidential-asymmetric", "jwks": jwks(ASYMMETRIC_KEY),
    "grant_types": ["client_credentials"], "scopes": "system/Patient.rs",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(fhir_server: str) -> AsyncIterator[House]:
    """A house where apps may register themselves."""
    async with smart_house(fhir_server, change=lambda one: one["smart_server"].update(registration=True)) as house:
        yield house


async def add(house: House, **entry: Any) -> httpx2.Response:
    """Add a client by the admin API."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    return await house.http.post(f"{house.issuer}/admin/clients", json=entry, headers=headers)


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
    "R-5: a public app with a secret": ({**APP, "client_secret_hash": "x"}, "client_secret_hash"),
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
        {**APP, "type": "confidential-asymmetric", "jwks": jwks(ASYMMETRIC_KEY), "client_secret_hash": "x"},
        "client_secret_hash",
    ),
    "R-11: keys by address and by value": (
        {**BACKEND, "jwks_uri": "https://app.example/jwks"},
        "exactly one of jwks and jwks_uri",
    ),
    "CS-2: a service with a secret": (
        {**BACKEND, "type": "confidential-symmetric", "jwks": None, "client_secret_hash": "x"},
        "grant_types",
    ),
}


@pytest.mark.requirement("R-2", "R-5", "R-8", "R-9", "R-10", "R-11", "CS-2", "BS-1")
@pytest.mark.parametrize(("entry", "member"), REFUSED.values(), ids=REFUSED)
async def test_an_entry_that_is_refused(house: House, entry: dict[str, Any], member: str) -> None:
    """By the configuration, at start, and by the admin API, which names every problem."""
    told = {name: value for name, value in entry.items() if value is not None}
    with pytest.raises(ValidationError):
        ClientEntry.model_validate(told)
    if told.get("type") == "confidential-symmetric" and "client_secret_hash" not in told:
        return
    answer = await add(house, **told)
    assert answer.status_code == 400
    assert any(member in one for one in answer.json()["problems"])


@pytest.mark.requirement("R-11")
async def test_an_entry_says_all_that_an_operator_decides() -> None:
    entry = ClientEntry.model_validate(
        {**APP, "type": "confidential-symmetric", "client_secret": "a-secret", "scopes": "patient/*.rs openid",
         "origins": ["https://web.example"], "may_refresh": False, "may_introspect": True}
    )  # fmt: skip
    client = entry.client()
    assert client.authentication is AuthenticationMethod.CLIENT_SECRET_BASIC
    assert client.grant_types == {GrantType.AUTHORIZATION_CODE}
    assert client.scopes is not None
    assert client.origins == {"https://web.example", "https://app.example"}
    assert (client.may_refresh, client.may_introspect) == (False, True)
    assert "a-secret" not in repr(client)


@pytest.mark.requirement("R-1", "E-1")
async def test_only_registered_apps_run_and_only_where_they_are_registered(house: House) -> None:
    page = await house.person().go(house.app("nobody").authorization_url("patient/Patient.r"))
    assert (page.status, page.left_for) == (400, None)
    for body in (
        {"client_id": "nobody"},
        {"client_id": "public-app", "launch_uri": "https://elsewhere.example/launch"},
        {"client_id": "backend"},
    ):
        answer = await house.http.post(f"{house.issuer}/launch", json=body, auth=("ehr", LAUNCHER_SECRET))
        assert answer.status_code == 400, body


@pytest.mark.requirement("R-3", "R-5")
async def test_who_adds_an_app_is_told_its_id_and_its_secret_once(house: House) -> None:
    told = (await add(house, name="New", type="confidential-symmetric", redirect_uris=[CALLBACK])).json()
    app = house.app(told["client_id"], secret=told["client_secret"])
    assert "access_token" in await house.tokens(app, "patient/Patient.r")
    shown = await house.http.get(
        f"{house.issuer}/admin/clients/{told['client_id']}", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    assert shown.json()["name"] == "New"
    assert not {"client_secret", "client_secret_hash"} & set(shown.json())
    assert (await add(house, **{**APP, "client_id": "public-app"})).status_code == 409


@pytest.mark.requirement("R-3", "R-4", "R-7", "D-19")
async def test_an_app_registers_itself_where_that_is_allowed(open_house: House) -> None:
    """As RFC 7591 has it, with a client_id of our choosing, so that it can replace nobody."""
    discovery = (await open_house.http.get(f"{open_house.base}/.well-known/smart-configuration")).json()
    metadata = {"client_name": "Self-made", "redirect_uris": [CALLBACK], "client_id": "asymmetric-app",
                "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(OTHER_KEY)}  # fmt: skip
    answer = await open_house.http.post(discovery["registration_endpoint"], json=metadata)
    assert answer.status_code == 201
    assert answer.json()["client_id"] != "asymmetric-app"
    app = open_house.app(answer.json()["client_id"], key=OTHER_KEY)
    assert "access_token" in await open_house.tokens(app, "patient/Patient.r")
    intruder = open_house.app("asymmetric-app", key=OTHER_KEY)
    code = await open_house.code(intruder, "patient/Patient.r")
    assert (await intruder.exchange(code)).json()["error"] == "invalid_client"
    bad = await open_house.http.post(discovery["registration_endpoint"], json={"redirect_uris": ["https://*.example/"]})
    assert (bad.status_code, bad.json()["error"]) == (400, "invalid_redirect_uri")


OTHER_KEY = ECKey.generate_key("P-384", parameters={"kid": "app-1"})


class KeyServer:
    """Publishes a key set, and keeps what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        self.asked.append((scope["method"], {name.decode(): value.decode() for name, value in scope["headers"]}))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(jwks(ASYMMETRIC_KEY)).encode()})


@pytest.mark.requirement("R-6", "R-8", "CA-10")
async def test_keys_are_registered_by_address_as_well_as_by_value(house: House) -> None:
    """By value: the asymmetric app of the house. By address: read by GET, as JSON, with no credentials."""
    assert "access_token" in await house.tokens(house.app("asymmetric-app"), "patient/Patient.r")
    keys, port = KeyServer(), free_port()
    async with served(keys, port):
        entry = {**APP, "client_id": "by-address", "type": "confidential-asymmetric"}
        added = await add(house, **entry, jwks_uri=f"http://127.0.0.1:{port}/jwks")
        assert added.status_code == 201, added.text
        app = house.app("by-address", key=ASYMMETRIC_KEY)
        assert "access_token" in await house.tokens(app, "patient/Patient.r")
    ((method, headers),) = keys.asked
    assert method == "GET"
    assert headers["accept"] == "application/json"
    assert not {"authorization", "cookie"} & set(headers)


async def register(house: House, **metadata: Any) -> httpx2.Response:
    """An app registers itself, as a public one."""
    whole = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **metadata}
    return await house.http.post(f"{house.issuer}/register", json=whole)


async def test_an_app_that_registered_itself_is_offered_to_nobody_in_the_gallery(open_house: House) -> None:
    """Anybody may take the name and the picture of an app that the organisation offers."""
    told = await register(open_house, client_name="Growth Chart", launch_uris=["https://evil.example/launch"])
    assert told.status_code == 201
    person = open_house.person()
    page = await person.sign_in(await person.go(f"{open_house.issuer}/apps"))
    assert 'value="public-app"' in page.html
    assert told.json()["client_id"] not in page.html
    assert "self_registered" not in told.json()
    shown = await open_house.http.get(
        f"{open_house.issuer}/admin/clients/{told.json()['client_id']}",
        headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
    )
    assert shown.json()["self_registered"] is True


async def test_an_app_that_registers_itself_names_no_more_scopes_than_it_could_ask_for(open_house: House) -> None:
    scope = " ".join(f"patient/Observation.r?code={number:x}" for number in range(400))
    answer = await register(open_house, scope=scope)
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
async def test_a_name_is_what_people_see(open_house: House, name: str) -> None:
    with pytest.raises(ValidationError):
        ClientEntry.model_validate({**APP, "name": name})
    if name == UNSEEN["a command for a terminal"]:
        assert (await register(open_house, client_name=name)).json()["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("name", ["Kinderärzte & Co", "نمی\u200cشود", "क्\u200dष", "小児科アプリ", "🩺 App"])
async def test_a_name_may_be_of_any_language(name: str) -> None:
    assert ClientEntry.model_validate({**APP, "name": name}).name == name
