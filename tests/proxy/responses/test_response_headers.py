"""Response headers (enforcement.md 6): ids, validators and CORS, as an app or a browser sees them."""

import asyncio

import httpx2
import pytest

from tests.proxy.leaked_marks import is_refused, link_of
from tests.proxy.responses.response_gateways import (
    DISCOVERY,
    ORIGIN,
    STRANGE_ORIGIN,
    ResponseGateways,
)
from tests.proxy.running_gateway import RunningGateway
from tests.servers.hostile import A_MARKER, B_MARKER, Mode

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

# Paths of every kind of answer: permitted, refused, absent, public, and the preflight.
KINDS: tuple[tuple[str, str, str | None], ...] = (
    ("GET", "/Patient/pat-a", "patient/*.rs"),
    ("GET", "/Observation?_count=2", "patient/*.rs"),
    ("GET", "/Observation/_history", "patient/*.rs"),
    ("GET", "/Binary/pat-a-binary", "patient/*.rs"),
    ("GET", "/Patient/pat-b", "patient/*.rs"),
    ("GET", "/Patient/pat-a", None),
    ("GET", "/Patient/pat-a", "patient/Observation.rs"),
    ("GET", "/a/b/c/d/e", "patient/*.rs"),
    ("POST", "/Patient", "patient/*.rs"),
    ("GET", "/metadata", None),
    ("OPTIONS", "/Patient/pat-a", None),
)


@pytest.mark.parametrize(("method", "path", "scope"), KINDS)
async def test_every_answer_carries_its_decision_id_and_a_request_id(
    gateway: RunningGateway, method: str, path: str, scope: str | None
) -> None:
    responses = [await gateway.request(path, scope, method=method) for _ in range(2)]
    ids = [response.headers["x-decision-id"] for response in responses]
    assert len(set(ids)) == 2
    assert [response.headers["x-request-id"] for response in responses] == ids
    records = {record.decision_id: record for record in gateway.telemetry.records}
    assert [records[decision_id].status for decision_id in ids] == [response.status_code for response in responses]


@pytest.mark.parametrize("offered", ["a", "8c7d2b1e-5f0a", "x" * 64, "A.b_c-1"])
async def test_a_well_formed_request_id_is_kept(gateways: ResponseGateways, offered: str) -> None:
    for gateway in (gateways.gateway, gateways.down):
        response = await gateway.request("/Patient/pat-a", headers={"x-request-id": offered})
        assert response.headers["x-request-id"] == offered
        assert response.headers["x-decision-id"] != offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a,b", "<script>", "a/b", "a%0d%0ab", "é"])
async def test_a_request_id_of_another_form_is_replaced(gateway: RunningGateway, offered: str) -> None:
    response = await gateway.request("/Patient/pat-a", headers={"x-request-id": offered.encode("latin-1")})
    assert response.headers["x-request-id"] == response.headers["x-decision-id"]


@pytest.mark.parametrize(("method", "path", "scope"), [kind for kind in KINDS if kind[0] == "GET"])
async def test_head_is_get_without_the_body(gateway: RunningGateway, method: str, path: str, scope: str | None) -> None:
    get, head = await asyncio.gather(gateway.request(path, scope), gateway.request(path, scope, method="HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    passing = {"date", "x-request-id", "x-decision-id", "transfer-encoding"}
    assert _headers_except(head, passing) == _headers_except(get, passing)


def _headers_except(response: httpx2.Response, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in names}


async def test_a_304_comes_after_the_check_with_the_validators_alone(gateway: RunningGateway) -> None:
    own = await gateway.request("/Patient/pat-a")
    conditions = (
        {"if-none-match": own.headers["etag"]},
        {"if-none-match": "*"},
        {"if-none-match": f'"other", {own.headers["etag"]}'},
        {"if-modified-since": own.headers["last-modified"]},
    )
    for condition in conditions:
        same = await gateway.request("/Patient/pat-a", headers=condition)
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == own.headers["etag"]
        assert is_refused(await gateway.request("/Patient/pat-b", headers=condition), 404, "not_found")
        assert (await gateway.request("/Patient/pat-a", None, headers=condition)).status_code == 401
        lacking = await gateway.request("/Patient/pat-a", "patient/Observation.rs", headers=condition)
        assert lacking.status_code == 403
    for stale in ({"if-none-match": '"other"'}, {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}):
        assert (await gateway.request("/Patient/pat-a", headers=stale)).status_code == 200


@pytest.mark.requirement("CO-2", "CO-5")
@pytest.mark.parametrize(("method", "path", "scope"), KINDS)
async def test_a_registered_origin_may_read_every_answer_and_another_none(
    gateway: RunningGateway, method: str, path: str, scope: str | None
) -> None:
    public = path == "/metadata"
    own = await gateway.request(path, scope, method=method, headers={"origin": ORIGIN})
    assert own.headers["access-control-allow-origin"] == ("*" if public else ORIGIN)
    assert "X-Decision-ID" in own.headers["access-control-expose-headers"]
    assert "WWW-Authenticate" in own.headers["access-control-expose-headers"]
    other = await gateway.request(path, scope, method=method, headers={"origin": STRANGE_ORIGIN})
    assert other.headers.get("access-control-allow-origin") == ("*" if public else None)
    assert own.status_code == other.status_code
    for response in (own, other):
        assert public or response.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.requirement("CO-5", "edge-151")
async def test_a_failing_server_leaves_the_cors_headers_in_place(gateways: ResponseGateways) -> None:
    response = await gateways.down.request("/Patient/pat-a", headers={"origin": ORIGIN})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (502, ORIGIN)


@pytest.mark.requirement("CO-5", "edge-149")
@pytest.mark.parametrize("path", ["/Patient/pat-a", "/Observation", "/", "/no/such/path/at/all"])
async def test_a_preflight_needs_no_token(gateway: RunningGateway, path: str) -> None:
    preflight_headers = {
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,if-match",
    }
    own = await gateway.request(path, None, method="OPTIONS", headers={"origin": ORIGIN, **preflight_headers})
    assert (own.status_code, own.headers["access-control-allow-origin"]) == (204, ORIGIN)
    methods = own.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
    allowed = own.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "accept", "if-match", "if-none-match", "prefer"} <= set(allowed)
    other = await gateway.request(path, None, method="OPTIONS", headers={"origin": STRANGE_ORIGIN, **preflight_headers})
    assert other.status_code == 204
    assert not any(name.startswith("access-control-") for name in other.headers)


@pytest.mark.requirement("CO-1", "D-4")
@pytest.mark.parametrize("path", ["/metadata", DISCOVERY])
async def test_discovery_is_open_to_every_origin(gateway: RunningGateway, path: str) -> None:
    for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204)):
        response = await gateway.request(path, None, method=method, headers={"origin": STRANGE_ORIGIN})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, "*")


@pytest.mark.requirement("CO-5")
async def test_no_header_of_the_server_passes_but_its_validators(gateways: ResponseGateways) -> None:
    for path in ("/Observation/a-1", "/Observation", "/Observation/_history", "/Binary/a-1"):
        response = await gateways.by_mode[Mode.HEADERS_OF_B].request(path, headers={"origin": ORIGIN})
        assert (response.status_code, A_MARKER in response.text or path == "/Binary/a-1") == (200, True)
        allowed_headers = {
            "access-control-allow-origin", "access-control-expose-headers", "cache-control", "content-length",
            "content-security-policy",
            "content-type", "date", "etag", "last-modified", "server", "transfer-encoding", "vary",
            "x-content-type-options", "x-decision-id", "x-request-id",
        }  # fmt: skip
        assert set(response.headers) <= allowed_headers
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert not any(B_MARKER in value for value in response.headers.values())


@pytest.mark.requirement("G-8")
async def test_urls_come_from_the_configuration_and_never_from_a_header(gateway: RunningGateway) -> None:
    spoofed = ("Host: evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=e")
    token = gateway.token("patient/*.rs")
    for path in ("/Observation?_count=2", "/metadata", DISCOVERY):
        response = await gateway.send_raw(f"/fhir{path}", token, *spoofed)
        assert response.status_code == 200
        assert "evil.example" not in response.text
    page = await gateway.send_raw("/fhir/Observation?_count=2", token, *spoofed)
    assert link_of(page, "self") == f"{gateway.base_url}/Observation?_count=2"
    assert (link_of(page, "next") or "").startswith(f"{gateway.base_url}/?_page=")
    assert all(entry["fullUrl"].startswith(f"{gateway.base_url}/Observation/") for entry in page.json()["entry"])
