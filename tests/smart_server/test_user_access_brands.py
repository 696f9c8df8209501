"""The bundle of brands of a running server: named by discovery, and open to every origin (checklist UB)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.fhir.resources.brand_bundles import brand_bundle
from tests.proxy.running_gateway import running_gateway
from tests.servers.ports import free_port
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

HOSPITAL = {"system": "urn:ietf:rfc:3986", "value": "https://hospital.example"}
ANYWHERE = {"origin": "https://anywhere.example"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def branded(fhir_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A server with brands."""
    port = free_port()
    file = tmp_path_factory.mktemp("brands") / "brands.json"
    file.write_bytes(orjson.dumps(brand_bundle(f"http://127.0.0.1:{port}/fhir")))

    def change(settings: dict[str, Any]) -> None:
        settings["user_access_brands"] = {"bundle": str(file), "identifier": HOSPITAL}

    async with run_smart_server(fhir_server, change=change, port=port) as running:
        yield running


@pytest.mark.requirement("D-20", "UB-1", "UB-8", "CO-3", "edge-158")
async def test_discovery_leads_to_the_brands_and_to_our_own_among_them(branded: RunningServer) -> None:
    configuration = (await branded.http.get(f"{branded.base}/.well-known/smart-configuration")).json()
    assert configuration["user_access_brand_identifier"] == HOSPITAL
    answer = await branded.http.get(configuration["user_access_brand_bundle"], headers=ANYWHERE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json() == brand_bundle(branded.base)


@pytest.mark.requirement("UB-9", "UB-8", "CO-3")
@pytest.mark.parametrize("written", ["{}", '"other", {}', "*"])
async def test_who_has_the_brands_is_told_that_they_are_the_same(branded: RunningServer, written: str) -> None:
    url = f"{branded.base}/.well-known/user-access-brands.json"
    tag = (await branded.http.get(url)).headers["etag"]
    assert tag.startswith('W/"')
    same = await branded.http.get(url, headers={**ANYWHERE, "if-none-match": written.format(tag)})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == tag
    assert same.headers["access-control-allow-origin"] == "*"
    changed = await branded.http.get(url, headers={"if-none-match": 'W/"other"'})
    assert changed.status_code == 200


@pytest.mark.requirement("UB-8")
async def test_a_page_may_ask_first_and_nobody_may_write(branded: RunningServer) -> None:
    url = f"{branded.base}/.well-known/user-access-brands.json"
    preflight = await branded.http.request("OPTIONS", url, headers=ANYWHERE)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert "If-None-Match" in preflight.headers["access-control-allow-headers"]
    assert (await branded.http.put(url, json={})).status_code == 405
    head = await branded.http.head(url)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.requirement("D-20")
async def test_without_brands_none_are_named(server: RunningServer) -> None:
    configuration = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    assert not [name for name in configuration if name.startswith("user_access_brand")]
    assert (await server.http.get(f"{server.base}/.well-known/user-access-brands.json")).status_code in {401, 404}


@pytest.mark.requirement("UB-1", "D-20")
async def test_brands_are_named_beside_another_authorization_server(fhir_server: str, tmp_path: Path) -> None:
    file = tmp_path / "brands.json"
    file.write_bytes(orjson.dumps(brand_bundle()))
    brands = {"bundle": str(file), "identifier": HOSPITAL}
    other = {"token_endpoint": "https://login.example.org/token"}
    async with running_gateway(fhir_server, tmp_path, authorization_server=other, user_access_brands=brands) as gateway:
        configuration = (await gateway.request("/.well-known/smart-configuration", None)).json()
        assert configuration["user_access_brand_bundle"].endswith("/fhir/.well-known/user-access-brands.json")
        answer = await gateway.request("/.well-known/user-access-brands.json", None)
        assert answer.content == file.read_bytes()
