"""HAPI's quirks in reads, histories, operations and responses, and that none of them reaches A's app.

As in `test_hapi_search_quirks.py`, each test first sends its request to HAPI itself.
"""

import json
from typing import Any

import pytest

from tests.proxy.leaked_marks import link_of, refusal_reason, resources_in
from tests.real_servers.gateway_requests import A_APP, FORM, Gateways
from tests.real_servers.hapi_quirks import request_hapi, request_refused_unsent, shows_b
from tests.real_servers.stored_resources import observation

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_b5_lastn_narrows_by_nothing(gateways: Gateways) -> None:
    assert shows_b(await request_hapi(gateways, "/Observation/$lastn?patient=Patient/pat-a&_count=1000")), (
        "the quirk is gone"
    )
    for query in ("patient=Patient/pat-a", "patient=Patient/pat-b", "subject=Patient/pat-a&max=1"):
        assert await request_refused_unsent(gateways, f"/Observation/$lastn?{query}") == "operation_not_allowed"


async def test_b6_a_history_may_be_of_several_patients(gateways: Gateways) -> None:
    """HAPI cuts the list by a cached count. Whatever it returns, only A's versions are shown."""
    async with gateways.delete_afterwards("Observation/a-mixed"):
        mixed = {}
        for patient in ("pat-a", "pat-b", "pat-a", "pat-b", "pat-a"):
            mixed[await gateways.upstream_put(observation(patient, "a-mixed"))] = patient
            await request_hapi(gateways, "/Observation/a-mixed/_history")
        own_versions = {version for version, patient in mixed.items() if patient == "pat-a"}
        version_ids = [
            resource["meta"]["versionId"]
            for resource in resources_in(await gateways.request("/Observation/a-mixed/_history"))
        ]
        assert version_ids
        assert set(version_ids) <= own_versions
        for version, patient in mixed.items():
            response = await gateways.request(f"/Observation/a-mixed/_history/{version}")
            assert response.status_code == (200 if patient == "pat-a" else 404)
        for query in ("_since=2026-01-01", "_count=-1"):
            assert (
                await request_refused_unsent(gateways, f"/Observation/a-mixed/_history?{query}") == "parameter_invalid"
            )
        await gateways.upstream_delete("Observation/a-mixed")
        absent = await gateways.request("/Observation/never-was/_history/1")
        for version in mixed:
            assert (await request_hapi(gateways, f"/Observation/a-mixed/_history/{version}")).status_code == 200, (
                "the quirk is gone"
            )
            deleted = await gateways.request(f"/Observation/a-mixed/_history/{version}")
            assert (deleted.status_code, deleted.content) == (404, absent.content)


async def test_b10_the_subject_may_be_left_out(gateways: Gateways) -> None:
    for query in ("_elements=status", "_summary=text"):
        [bare] = resources_in(await request_hapi(gateways, f"/Observation?_id=pat-b-smoking&{query}"))
        assert "subject" not in bare, "the quirk is gone"
        assert gateways.found_names([await gateways.request(f"/Observation?_id=pat-b-smoking&{query}")]) == set()
        assert gateways.found_names([await gateways.request(f"/Observation?_id=pat-a-smoking&{query}")])
    page = await request_hapi(gateways, "/Observation/pat-a-smoking?_summary=text")
    assert page.headers["content-type"].startswith("text/html"), "the quirk is gone"
    response = await gateways.request("/Observation/pat-a-smoking?_summary=text")
    assert response.headers["content-type"].startswith("application/fhir+json")


async def test_b16_links_show_what_was_asked_here(gateways: Gateways) -> None:
    base_url = gateways.by_reach["full"].base_url
    response = await gateways.request("/Observation?code=4548-4&_count=5")
    assert link_of(response, "self") == f"{base_url}/Observation?code=4548-4&_count=5"
    posted = await gateways.request("/Observation/_search?_count=5", method="POST", headers=FORM, content="code=4548-4")
    assert link_of(posted, "self") == link_of(response, "self")
    assert (await request_hapi(gateways, "/Patient/pat-a")).headers.get("x-powered-by"), "the quirk is gone"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:99"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "x-forwarded-prefix": "/evil"},
        {"forwarded": "host=evil.example;proto=https"},
    ],
)
async def test_links_follow_no_header_of_the_client(gateways: Gateways, headers: dict[str, str]) -> None:
    if "host" in headers:
        host_response = await request_hapi(gateways, "/Observation?patient=Patient/pat-a&_count=2", headers=headers)
        assert "evil.example" in host_response.text, "the quirk is gone"
    response = await gateways.request("/Observation?_count=2", headers=headers)
    assert response.status_code == 200
    assert "evil.example" not in response.text + json.dumps(dict(response.headers))
    following = link_of(response, "next")
    assert following is not None
    assert (await gateways.request(following, A_APP, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"accept": "text/html"}},
        {"headers": {"accept": "application/fhir+xml"}},
        {"path": "?_format=html/json"},
        {"path": "?_format=xml"},
        {"path": "?_format=html"},
    ],
)
async def test_only_json_is_spoken(gateways: Gateways, asked: dict[str, Any]) -> None:
    """HAPI can respond with HTML and XML, which the gateway cannot verify."""
    path = f"/Patient/pat-a{asked.get('path', '')}"
    assert await request_refused_unsent(gateways, path, headers=asked.get("headers", {})) == "format_not_acceptable"


async def test_a_refusal_of_the_server_says_nothing_of_it(gateways: Gateways) -> None:
    """HAPI's error texts list parameters and ids. The gateway replaces them by its own (leak_28)."""
    response = await gateways.request("/?_type=Observation")
    assert (response.status_code, refusal_reason(response)) == (400, "upstream_rejected")
    assert "HAPI" not in response.text


async def test_a_binary_leaves_raw_where_raw_is_asked_for(gateways: Gateways) -> None:
    """HAPI sends the security context in a header, by which the gateway decides before it reads the body."""
    raw = await request_hapi(gateways, "/Binary/pat-a-binary", headers={"accept": "*/*"})
    assert raw.headers["x-security-context"] == "Patient/pat-a", "the quirk is gone"
    letter = await gateways.request("/Binary/pat-a-binary", headers={"accept": "*/*"})
    assert (letter.content, letter.headers["content-type"]) == (b"Letter of pat-a: letter\n", "text/plain")
    assert (await gateways.request("/Binary/pat-a-scan", headers={"accept": "*/*"})).content == b"scan"
    absent = await gateways.request("/Binary/never-was", headers={"accept": "*/*"})
    for name in ("pat-b-binary", "pat-b-scan"):
        hidden = await gateways.request(f"/Binary/{name}", headers={"accept": "*/*"})
        assert (hidden.status_code, hidden.content) == (404, absent.content)
