"""`.well-known/smart-configuration`: every listed URL and value works, and nothing else is listed (checklist 1.3)."""

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.proxy.running_gateway import running_gateway
from tests.smart_server.running_server import (
    BACKEND_KEY,
    LAUNCHER_SECRET,
    SECRET,
    RunningServer,
    public_jwks,
    run_smart_server,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

WELL_KNOWN = "/.well-known/smart-configuration"


async def smart_configuration(server: RunningServer) -> dict[str, Any]:
    """The smart-configuration document."""
    return dict((await server.http.get(f"{server.base}{WELL_KNOWN}")).json())


@pytest.mark.requirement("D-1", "D-2", "D-4", "CO-1", "edge-1", "edge-2", "suite-D1")
@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html", "*/*", None])
async def test_the_document_is_json_for_everyone(server: RunningServer, accept: str | None) -> None:
    plain = await server.http.get(f"{server.base}{WELL_KNOWN}")
    headers = {"origin": "https://anywhere.example", "authorization": "Bearer nonsense"}
    answer = await server.http.get(
        f"{server.base}{WELL_KNOWN}", headers=headers if accept is None else {**headers, "accept": accept}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.content == plain.content
    assert (await server.http.get(f"{server.root}{WELL_KNOWN}")).status_code == 404


@pytest.mark.requirement("CO-1", "CO-4", "edge-149")
@pytest.mark.parametrize(
    "path", ["fhir" + WELL_KNOWN, "fhir/metadata", "auth/.well-known/openid-configuration", "auth/jwks"]
)
async def test_a_page_that_asks_first_whether_it_may_read_discovery_may(server: RunningServer, path: str) -> None:
    """With any headers, and without a token."""
    preflight_headers = {
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,content-type",
    }
    url, origin = f"{server.root}/{path}", {"origin": "https://anywhere.example"}
    answer = await server.http.request("OPTIONS", url, headers={**origin, **preflight_headers})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
    assert "GET" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers
    read = await server.http.get(url, headers=origin)
    assert (read.status_code, read.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.requirement("D-3", "edge-5", "G-8")
async def test_every_address_is_absolute_and_below_the_issuer(server: RunningServer) -> None:
    spoofed = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    for path in (f"{server.base}{WELL_KNOWN}", f"{server.issuer}/.well-known/openid-configuration"):
        document = (await server.http.get(path, headers=spoofed)).json()
        addresses = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
        assert len(addresses) >= 5
        assert all(value.startswith(f"{server.issuer}/") for value in addresses.values()), addresses


@pytest.mark.requirement("D-5", "D-6", "D-7", "D-8", "D-9", "D-10", "D-11", "D-12", "D-13", "D-15", "CA-1", "suite-D2")
async def test_the_members_are_those_of_the_guide(server: RunningServer) -> None:
    """Closed lists have exactly what is supported; no member is empty or null (edge case 3)."""
    document = await smart_configuration(server)
    assert document["issuer"] == server.issuer
    assert set(document["grant_types_supported"]) == {"authorization_code", "client_credentials"}
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert set(document["token_endpoint_auth_methods_supported"]) == {"client_secret_basic", "private_key_jwt"}
    assert {"RS384", "ES384"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert not {"none", "HS256", "HS384"} & set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert all(isinstance(capability, str) for capability in document["capabilities"])
    assert all(document.values())
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint"):
        assert urlsplit(document[name]).netloc


async def check_authorization_endpoint(server: RunningServer, url: str) -> None:
    page = await server.person().open(url + "?" + server.app().authorization_url("patient/Patient.r").partition("?")[2])
    assert page.form("/login").method == "post"


async def check_token_endpoint(server: RunningServer, url: str) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": "x",
        "client_id": "public-app",
        "redirect_uri": "https://a.example",
    }
    answer = await server.http.post(url, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def check_introspection_endpoint(server: RunningServer, url: str) -> None:
    answer = await server.http.post(url, data={"token": "x"}, auth=("https%3A%2F%2Fsymmetric.example", SECRET))
    assert (answer.status_code, answer.json()) == (200, {"active": False})


async def check_revocation_endpoint(server: RunningServer, url: str) -> None:
    answer = await server.http.post(url, data={"token": "x", "client_id": "public-app"})
    assert answer.status_code == 200


async def check_management_endpoint(server: RunningServer, url: str) -> None:
    person = server.person()
    page = await person.sign_in(await person.open(url))
    assert (page.status, page.url) == (200, url)


async def check_jwks_uri(server: RunningServer, url: str) -> None:
    answer = await server.http.get(url, headers={"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert all(key["kty"] == "RSA" and "d" not in key for key in answer.json()["keys"])


ADDRESSES: dict[str, Callable[[RunningServer, str], Awaitable[None]]] = {
    "authorization_endpoint": check_authorization_endpoint,
    "token_endpoint": check_token_endpoint,
    "introspection_endpoint": check_introspection_endpoint,
    "revocation_endpoint": check_revocation_endpoint,
    "management_endpoint": check_management_endpoint,
    "jwks_uri": check_jwks_uri,
}


@pytest.mark.requirement("D-6", "D-7", "D-8", "D-16", "D-17", "D-18", "IN-1", "RV-1")
@pytest.mark.parametrize("name", ADDRESSES)
async def test_an_address_that_is_named_answers(server: RunningServer, name: str) -> None:
    await ADDRESSES[name](server, (await smart_configuration(server))[name])


@pytest.mark.requirement("D-19", "R-4")
async def test_no_address_is_named_but_those(server: RunningServer) -> None:
    """The registration endpoint is listed only if it is enabled (test_registration_endpoint.py)."""
    document = await smart_configuration(server)
    assert {name for name in document if name.endswith(("_endpoint", "_uri"))} == set(ADDRESSES)
    assert (await server.http.post(f"{server.issuer}/register", json={})).status_code == 404


@pytest.mark.requirement("D-23", "ID-5", "ID-8", "ID-11", "CO-4", "suite-D6")
async def test_the_way_from_the_issuer_to_its_keys_is_open(server: RunningServer) -> None:
    smart = await smart_configuration(server)
    response = await server.http.get(
        f"{smart['issuer']}/.well-known/openid-configuration", headers={"origin": "https://anywhere.example"}
    )
    assert response.headers["access-control-allow-origin"] == "*"
    document = response.json()
    assert document["issuer"] == smart["issuer"]
    assert document["subject_types_supported"] == ["public"]
    assert document["response_types_supported"] == ["code"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "code_challenge_methods_supported"):
        assert document[name] == smart[name]
    keys = (await server.http.get(document["jwks_uri"])).json()["keys"]
    assert keys
    assert all({"kty", "kid", "n", "e"} <= set(key) for key in keys)


def with_wide_backend(settings: dict[str, Any]) -> None:
    """Add a backend service that may read everything."""
    settings["smart_server"]["clients"].append(
        {"client_id": "wide", "name": "Wide", "type": "confidential-asymmetric", "jwks": public_jwks(BACKEND_KEY),
         "grant_types": ["client_credentials"], "scopes": "system/*.cruds"}
    )  # fmt: skip


@pytest.mark.requirement("D-14", "edge-6")
async def test_every_scope_that_is_listed_can_be_had(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=with_wide_backend) as server:
        listed = set((await smart_configuration(server))["scopes_supported"])
        form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/*.cruds"}
        token_responses = [(await server.app("wide", key=BACKEND_KEY).post("/token", form)).json()]
        records = "launch/patient launch/encounter openid fhirUser patient/*.cruds user/*.cruds"
        for refresh in ("offline_access", "online_access"):
            body = {"client_id": "public-app", "context": {"patient": "pat-a", "encounter": "pat-a-encounter-1"}}
            launched = await server.http.post(f"{server.issuer}/launch", json=body, auth=("ehr", LAUNCHER_SECRET))
            scope = f"launch {records} {refresh}"
            token_responses.append(await server.request_tokens(server.app(), scope, launch=launched.json()["launch"]))
        assert listed == {scope for answer in token_responses for scope in answer["scope"].split()}
        for answer in token_responses:
            assert (await server.app().read("/Observation/pat-a-smoking", answer["access_token"])).status_code == 200


def read_only(settings: dict[str, Any]) -> None:
    """Switch writes off."""
    settings["writes"] = {"allow": False}


@pytest.mark.requirement("D-14")
async def test_no_letter_is_listed_that_the_gateway_refuses(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=read_only) as server:
        listed = (await smart_configuration(server))["scopes_supported"]
        assert {scope for scope in listed if "/" in scope and not scope.startswith("launch")} == {
            "patient/*.rs",
            "user/*.rs",
            "system/*.rs",
        }


ISSUER = "https://login.example"
BACKEND_ONLY = {
    "token_endpoint": f"{ISSUER}/token",
    "grant_types_supported": ["client_credentials"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
    "scopes_supported": ["system/*.rs"],
    "capabilities": ["client-confidential-asymmetric", "permission-v2"],
}


@pytest.mark.requirement("D-27", "D-7", "D-11", "edge-4")
async def test_for_backend_services_alone_nothing_else_is_promised(fhir_server: str, tmp_path: Path) -> None:
    """With an external authorization server for backend services there is no endpoint for users."""
    async with running_gateway(fhir_server, tmp_path, authorization_server=BACKEND_ONLY) as gateway:
        document = (await gateway.request(WELL_KNOWN, None)).json()
    assert {name: document[name] for name in BACKEND_ONLY} == BACKEND_ONLY
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert not {"authorization_endpoint", "issuer", "jwks_uri"} & set(document)


@pytest.mark.requirement("G-4")
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase], ids=lambda item: item.__name__)
async def test_the_case_of_header_names_makes_no_difference(
    server: RunningServer, change: Callable[[str], str]
) -> None:
    basic = base64.b64encode(f"{quote('https://symmetric.example', safe='')}:{SECRET}".encode()).decode()
    introspected = await server.http.post(
        f"{server.issuer}/introspect",
        data={"token": "x"},
        headers={change("Authorization"): f"Basic {basic}"},
    )
    assert introspected.json() == {"active": False}
    answer = await server.request_tokens(server.app(), "patient/Patient.r")
    read = await server.http.get(
        f"{server.base}/Patient/pat-a", headers={change("Authorization"): f"Bearer {answer['access_token']}"}
    )
    assert read.status_code == 200


@pytest.mark.requirement("BS-12", "G-5")
async def test_discovery_is_open_and_every_record_closed(server: RunningServer) -> None:
    """Discovery is public; records need a token that was issued here."""
    for path in ("/metadata", WELL_KNOWN):
        assert (await server.http.get(f"{server.base}{path}")).status_code == 200
    for path in ("/Patient/pat-a", "/Observation", "/", "/Patient/pat-a/_history"):
        assert (await server.http.get(f"{server.base}{path}")).status_code == 401
    answer = await server.request_tokens(server.app(), "patient/Patient.r")
    assert (await server.app().read("/Patient/pat-a", answer["access_token"])).status_code == 200
    assert (await server.app().read("/Patient/pat-a", answer["access_token"] + "x")).status_code == 401
