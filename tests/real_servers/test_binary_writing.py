"""Binaries written in front of real servers: as FHIR JSON and raw, by those to whom they belong and by nobody else."""

import base64
from typing import Any

import httpx2
import pytest

from tests.proxy.bundles.bundles import URN, entry
from tests.proxy.writing.binary_server import binary, document
from tests.proxy.writing.writes import reason_of
from tests.real_servers.gateway_requests import Gateways, TokenGrant
from tests.real_servers.servers_under_test import Feature

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITER = TokenGrant("patient/*.cruds", marks=())
OTHER = TokenGrant("patient/*.cruds", claims={"patient": "pat-b"}, marks=())
FHIR = {"content-type": "application/fhir+json"}
CONTENT = bytes(range(256)) * 400
PAGE = b"<script>alert(1)</script>"


async def send(
    gateways: Gateways, method: str, path: str, content: bytes, grant: TokenGrant = WRITER, **headers: str
) -> httpx2.Response:
    """A raw upload that belongs to patient A."""
    named = {"content-type": "image/png", "x-security-context": "Patient/pat-a"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateways.request(path, grant, method=method, content=content, headers=named)


def path_of(gateways: Gateways, response: httpx2.Response) -> str:
    """The path of what was created."""
    assert response.status_code == 201, response.text
    location = response.headers["location"].removeprefix(gateways.by_reach["full"].base_url)
    assert location.startswith("/Binary/")
    return str(location.partition("/_history")[0])


async def test_raw_content_is_stored_read_changed_and_deleted(gateways: Gateways) -> None:
    created = await send(gateways, "POST", "/Binary", CONTENT)
    path = path_of(gateways, created)
    assert (created.content, created.headers["etag"]) == (b"", 'W/"1"') or "-" in created.headers["etag"]
    read = await gateways.request(path, WRITER, headers={"accept": "image/png"})
    assert (read.status_code, read.content, read.headers["content-type"]) == (200, CONTENT, "image/png")
    assert read.headers["content-security-policy"] == "sandbox; default-src 'none'"
    resource = await gateways.request(path, WRITER, headers={"accept": "application/fhir+json"})
    assert resource.json()["securityContext"]["reference"].endswith("Patient/pat-a")
    assert base64.b64decode(resource.json()["data"]) == CONTENT
    changed = await send(gateways, "PUT", path, PAGE, content_type="text/html", if_match=created.headers["etag"])
    assert (changed.status_code, changed.content) == (200, b"")
    stale = await send(gateways, "PUT", path, b"x", if_match=created.headers["etag"])
    assert (stale.status_code, reason_of(stale)) == (412, "precondition_failed")
    page = await gateways.request(path, WRITER, headers={"accept": "text/html"})
    assert (page.content, page.headers["x-content-type-options"]) == (PAGE, "nosniff")
    first = created.headers["etag"].split('"')[1]
    version = await gateways.request(f"{path}/_history/{first}", WRITER, headers={"accept": "image/png"})
    assert (version.status_code, version.content) == (200, CONTENT)
    history = await gateways.request(f"{path}/_history", WRITER)
    assert len(history.json()["entry"]) == 2
    await _delete(gateways, path)


async def _delete(gateways: Gateways, path: str) -> None:
    foreign = await gateways.request(path, OTHER, method="DELETE")
    assert foreign.status_code == 404
    deleted = await gateways.request(path, WRITER, method="DELETE")
    if Feature.CONDITIONAL_BINARY_DELETE in gateways.upstream.lacks:
        assert reason_of(deleted) == "race_not_excluded"
        await gateways.upstream_delete(path.removeprefix("/"))
    else:
        assert deleted.status_code == 204, deleted.text
    assert (await gateways.request(path, WRITER)).status_code == 404


async def test_a_resource_is_stored_and_belongs_to_one_patient(gateways: Gateways) -> None:
    created = await gateways.request("/Binary", WRITER, method="POST", json=binary(), headers=FHIR)
    path = path_of(gateways, created)
    assert created.json()["data"] == binary()["data"]
    own = {**created.json(), "contentType": "text/plain"}
    changed = await gateways.request(path, WRITER, method="PUT", json=own, headers=FHIR)
    assert (changed.status_code, changed.json()["contentType"]) == (200, "text/plain")
    refused = [
        await gateways.request(path, OTHER),
        await gateways.request(f"{path}/_history", OTHER),
        await gateways.request(path, OTHER, method="PUT", json=own, headers=FHIR),
        await send(gateways, "PUT", path, b"x", OTHER, x_security_context="Patient/pat-b"),
    ]
    assert [response.status_code for response in refused] == [404] * 4
    moved = {**own, "securityContext": {"reference": "Patient/pat-b"}}
    to_other = await gateways.request(path, WRITER, method="PUT", json=moved, headers=FHIR)
    assert reason_of(to_other) == "binary_not_vouched"
    await _delete(gateways, path)


async def test_content_that_says_it_is_a_resource_is_not_taken_for_one(gateways: Gateways) -> None:
    """A server that sends it as it is would let it say whose it is."""
    lie = b'{"resourceType":"Binary","id":"x","securityContext":{"reference":"Patient/pat-b"}}'
    for content_type in ("application/fhir+json", "application/json", "text/json", "application/fhir+json; a=b"):
        resource = binary(contentType=content_type, data=base64.b64encode(lie).decode())
        response = await gateways.request("/Binary", WRITER, method="POST", json=resource, headers=FHIR)
        assert reason_of(response) == "media_type_unsupported"


async def test_a_document_brings_its_binary_along(gateways: Gateways) -> None:
    """Some servers leave the name of the Binary in the document, so that nothing vouches for it afterwards."""
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Binary", binary("Patient/pat-a"), URN),
            entry("POST", "DocumentReference", document(URN)),
        ],
    }
    response = await gateways.request("/", WRITER, method="POST", json=bundle, headers=FHIR)
    assert response.status_code == 200, response.text
    first, second = response.json()["entry"]
    path = "/" + first["response"]["location"].partition("/fhir/")[2].partition("/_history")[0]
    assert (await gateways.request(path, WRITER)).status_code == 200
    assert (await gateways.request(path, OTHER)).status_code == 404
    await gateways.upstream_delete(f"DocumentReference/{second['resource']['id']}")
    await gateways.upstream_delete(path.removeprefix("/"))
