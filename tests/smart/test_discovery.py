"""What discovery says: every address answers, every value works, and nothing else is promised (checklist 1.3)."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from pydantic import ValidationError

from gateway.settings.model import Settings
from tests.gateway.running import running_gateway
from tests.servers.process import free_port
from tests.smart.house import BACKEND_KEY, LAUNCHER_SECRET, SECRET, House, jwks, smart_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

WELL_KNOWN = "/.well-known/smart-configuration"


async def published(house: House) -> dict[str, Any]:
    """The document."""
    return dict((await house.http.get(f"{house.base}{WELL_KNOWN}")).json())


@pytest.mark.requirement("D-1", "D-2", "D-4", "CO-1", "edge-1", "edge-2", "suite-D1")
@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html", "*/*", None])
async def test_the_document_is_json_for_everyone(house: House, accept: str | None) -> None:
    plain = await house.http.get(f"{house.base}{WELL_KNOWN}")
    headers = {"origin": "https://anywhere.example", "authorization": "Bearer nonsense"}
    answer = await house.http.get(
        f"{house.base}{WELL_KNOWN}", headers=headers if accept is None else {**headers, "accept": accept}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.content == plain.content
    assert (await house.http.get(f"{house.root}{WELL_KNOWN}")).status_code == 404


@pytest.mark.requirement("CO-1", "CO-4", "edge-149")
@pytest.mark.parametrize(
    "path", ["fhir" + WELL_KNOWN, "fhir/metadata", "auth/.well-known/openid-configuration", "auth/jwks"]
)
async def test_a_page_that_asks_first_whether_it_may_read_discovery_may(house: House, path: str) -> None:
    """Whatever headers its library adds, and without a token."""
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "authorization,content-type"}
    url, origin = f"{house.root}/{path}", {"origin": "https://anywhere.example"}
    answer = await house.http.request("OPTIONS", url, headers={**origin, **asked})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
    assert "GET" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers
    read = await house.http.get(url, headers=origin)
    assert (read.status_code, read.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.requirement("D-3", "edge-5", "G-8")
async def test_every_address_is_absolute_and_below_the_issuer(house: House) -> None:
    spoofed = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    for path in (f"{house.base}{WELL_KNOWN}", f"{house.issuer}/.well-known/openid-configuration"):
        document = (await house.http.get(path, headers=spoofed)).json()
        addresses = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
        assert len(addresses) >= 5
        assert all(value.startswith(f"{house.issuer}/") for value in addresses.values()), addresses


@pytest.mark.requirement("D-5", "D-6", "D-7", "D-8", "D-9", "D-10", "D-11", "D-12", "D-13", "D-15", "CA-1", "suite-D2")
async def test_the_members_are_those_of_the_guide(house: House) -> None:
    """The lists that it closes hold what is offered and no more; nothing is empty or null (edge case 3)."""
    document = await published(house)
    assert document["issuer"] == house.issuer
    assert set(document["grant_types_supported"]) == {"authorization_code", "client_credentials"}
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert set(document["token_endpoint_auth_methods_supported"]) == {"client_secret_basic", "private_key_jwt"}
    assert {"RS384", "ES384"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert not {"none", "HS256", "HS384"} & set(document["token_endpoint_auth_signing_alg_values_supported"])
    assert all(isinstance(one, str) for one in document["capabilities"])
    assert all(document.values())
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint"):
        assert urlsplit(document[name]).netloc


async def answers_authorize(house: House, url: str) -> None:
    page = await house.person().go(url + "?" + house.app().authorization_url("patient/Patient.r").partition("?")[2])
    assert page.form("/login").method == "post"


async def answers_token(house: House, url: str) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": "x",
        "client_id": "public-app",
        "redirect_uri": "https://a.example",
    }
    answer = await house.http.post(url, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def answers_introspection(house: House, url: str) -> None:
    answer = await house.http.post(url, data={"token": "x"}, auth=("https%3A%2F%2Fsymmetric.example", SECRET))
    assert (answer.status_code, answer.json()) == (200, {"active": False})


async def answers_revocation(house: House, url: str) -> None:
    answer = await house.http.post(url, data={"token": "x", "client_id": "public-app"})
    assert answer.status_code == 200


async def answers_management(house: House, url: str) -> None:
    person = house.person()
    page = await person.sign_in(await person.go(url))
    assert (page.status, page.url) == (200, url)


async def answers_jwks(house: House, url: str) -> None:
    answer = await house.http.get(url, headers={"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert all(one["kty"] == "RSA" and "d" not in one for one in answer.json()["keys"])


ADDRESSES: dict[str, Callable[[House, str], Awaitable[None]]] = {
    "authorization_endpoint": answers_authorize,
    "token_endpoint": answers_token,
    "introspection_endpoint": answers_introspection,
    "revocation_endpoint": answers_revocation,
    "management_endpoint": answers_management,
    "jwks_uri": answers_jwks,
}


@pytest.mark.requirement("D-6", "D-7", "D-8", "D-16", "D-17", "D-18", "IN-1", "RV-1")
@pytest.mark.parametrize("name", ADDRESSES)
async def test_an_address_that_is_named_answers(house: House, name: str) -> None:
    await ADDRESSES[name](house, (await published(house))[name])


@pytest.mark.requirement("D-19", "R-4")
async def test_no_address_is_named_but_those(house: House) -> None:
    """Registration is named where it is offered (test_registration_rules.py), and this house offers none."""
    document = await published(house)
    assert {name for name in document if name.endswith(("_endpoint", "_uri"))} == set(ADDRESSES)
    assert (await house.http.post(f"{house.issuer}/register", json={})).status_code == 404


@pytest.mark.requirement("D-23", "ID-5", "ID-8", "ID-11", "CO-4", "suite-D6")
async def test_the_way_from_the_issuer_to_its_keys_is_open(house: House) -> None:
    smart = await published(house)
    found = await house.http.get(
        f"{smart['issuer']}/.well-known/openid-configuration", headers={"origin": "https://anywhere.example"}
    )
    assert found.headers["access-control-allow-origin"] == "*"
    document = found.json()
    assert document["issuer"] == smart["issuer"]
    assert document["subject_types_supported"] == ["public"]
    assert document["response_types_supported"] == ["code"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "code_challenge_methods_supported"):
        assert document[name] == smart[name]
    keys = (await house.http.get(document["jwks_uri"])).json()["keys"]
    assert keys
    assert all({"kty", "kid", "n", "e"} <= set(one) for one in keys)


def with_wide_backend(settings: dict[str, Any]) -> None:
    """One more client: a backend service that may read everything."""
    settings["smart_server"]["clients"].append(
        {"client_id": "wide", "name": "Wide", "type": "confidential-asymmetric", "jwks": jwks(BACKEND_KEY),
         "grant_types": ["client_credentials"], "scopes": "system/*.rs"}
    )  # fmt: skip


@pytest.mark.requirement("D-14", "edge-6")
async def test_every_scope_that_is_listed_can_be_had(fhir_server: str) -> None:
    """Reading alone is listed, since the gateway refuses to write."""
    async with smart_house(fhir_server, change=with_wide_backend) as house:
        listed = set((await published(house))["scopes_supported"])
        form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/*.rs"}
        had = [(await house.app("wide", key=BACKEND_KEY).post("/token", form)).json()]
        records = "launch/patient launch/encounter openid fhirUser patient/*.rs user/*.rs"
        for refresh in ("offline_access", "online_access"):
            body = {"client_id": "public-app", "context": {"patient": "pat-a", "encounter": "pat-a-encounter-1"}}
            launched = await house.http.post(f"{house.issuer}/launch", json=body, auth=("ehr", LAUNCHER_SECRET))
            scope = f"launch {records} {refresh}"
            had.append(await house.tokens(house.app(), scope, launch=launched.json()["launch"]))
        assert listed == {one for answer in had for one in answer["scope"].split()}
        for answer in had:
            assert (await house.app().read("/Observation/pat-a-smoking", answer["access_token"])).status_code == 200


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
    """Beside an authorization server of somebody else: what asymmetric clients need, and no place to send a user to."""
    async with running_gateway(fhir_server, tmp_path, authorization_server=BACKEND_ONLY) as gateway:
        document = (await gateway.ask(WELL_KNOWN, None)).json()
    assert {name: document[name] for name in BACKEND_ONLY} == BACKEND_ONLY
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert not {"authorization_endpoint", "issuer", "jwks_uri"} & set(document)


# Where the FHIR base and the issuer lie on the host.
PLACES = {
    "the issuer is the host itself": ("/fhir", ""),
    "the FHIR base is the host itself": ("", "/auth"),
    "the issuer lies below the FHIR base": ("/fhir", "/fhir/auth"),
    "the FHIR base lies below the issuer": ("/smart/fhir", "/smart"),
}


@pytest.mark.requirement("D-1", "D-3", "D-23")
@pytest.mark.parametrize(("base", "issuer"), PLACES.values(), ids=PLACES)
async def test_wherever_they_lie_neither_half_hides_the_other(fhir_server: str, base: str, issuer: str) -> None:
    """Nor the health checks and the doors."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"

    def change(settings: dict[str, Any]) -> None:
        settings["public_base_url"] = root + base
        settings["smart_server"]["issuer"] = root + issuer

    async with smart_house(fhir_server, change=change, port=port) as running:
        house = replace(running, base=root + base, issuer=root + issuer)
        document = await published(house)
        assert (document["issuer"], document["token_endpoint"]) == (house.issuer, f"{house.issuer}/token")
        found = await house.http.get(f"{house.issuer}/.well-known/openid-configuration")
        assert found.json()["issuer"] == house.issuer
        answer = await house.tokens(house.app(), "patient/Patient.r")
        assert (await house.app().read("/Patient/pat-a", answer["access_token"])).status_code == 200
        assert (await house.http.get(f"{house.base}/Patient/pat-a")).status_code == 401
        assert (await house.http.get(f"{root}/healthz")).text == "alive\n"
        assert "error" in (await house.http.post(f"{root}/rpc", json={}, auth=("ehr", LAUNCHER_SECRET))).json()
        door = f"{house.base}/ClientApplication/public-app/$smart-launch?patient=pat-a"
        assert (await house.http.get(door, auth=("ehr", LAUNCHER_SECRET))).status_code == 302


async def test_one_place_for_both_halves_is_refused_at_start() -> None:
    whole = {"public_base_url": "https://fhir.example", "upstream": {"base_url": "http://fhir.internal/fhir"}}
    with pytest.raises(ValidationError, match="another path"):
        Settings.model_validate({**whole, "smart_server": {"issuer": "https://login.example"}})


IN_THE_CLEAR = {
    "the FHIR base": {"public_base_url": "http://fhir.example/r4"},
    "the issuer": {"smart_server": {"issuer": "http://login.example"}},
    "a client's keys": {
        "smart_server": {
            "clients": [{"client_id": "a", "name": "A", "type": "confidential-asymmetric", "scopes": "system/*.rs",
                         "grant_types": ["client_credentials"], "jwks_uri": "http://a.example/jwks"}]
        }
    },
}  # fmt: skip


@pytest.mark.requirement("G-1", "BS-14", "R-8")
@pytest.mark.parametrize("settings", IN_THE_CLEAR.values(), ids=IN_THE_CLEAR)
async def test_an_address_in_the_clear_is_refused_at_start(settings: dict[str, Any]) -> None:
    whole = {"public_base_url": "https://fhir.example/r4", "upstream": {"base_url": "http://fhir.internal/fhir"}}
    with pytest.raises(ValidationError, match="https"):
        Settings.model_validate({**whole, **settings})


@pytest.mark.requirement("G-4")
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase], ids=lambda one: one.__name__)
async def test_the_case_of_header_names_makes_no_difference(house: House, change: Callable[[str], str]) -> None:
    basic = base64.b64encode(f"{quote('https://symmetric.example', safe='')}:{SECRET}".encode()).decode()
    told = await house.http.post(
        f"{house.issuer}/introspect",
        data={"token": "x"},
        headers={change("Authorization"): f"Basic {basic}"},
    )
    assert told.json() == {"active": False}
    answer = await house.tokens(house.app(), "patient/Patient.r")
    read = await house.http.get(
        f"{house.base}/Patient/pat-a", headers={change("Authorization"): f"Bearer {answer['access_token']}"}
    )
    assert read.status_code == 200


@pytest.mark.requirement("BS-12", "G-5")
async def test_discovery_is_open_and_every_record_closed(house: House) -> None:
    """Both halves in one process: discovery by anyone, records by a token of ours, and by no foreign one."""
    for path in ("/metadata", WELL_KNOWN):
        assert (await house.http.get(f"{house.base}{path}")).status_code == 200
    for path in ("/Patient/pat-a", "/Observation", "/", "/Patient/pat-a/_history"):
        assert (await house.http.get(f"{house.base}{path}")).status_code == 401
    answer = await house.tokens(house.app(), "patient/Patient.r")
    assert (await house.app().read("/Patient/pat-a", answer["access_token"])).status_code == 200
    assert (await house.app().read("/Patient/pat-a", answer["access_token"] + "x")).status_code == 401
