"""A malformed URL in a request is an error of its sender, never a server error."""

from typing import Any

import pytest

from tests.smart_server.ehr_launcher import post_launch
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

# `urlsplit` raises for an IPv6 address without a closing bracket.
BROKEN = "https://["
CONTEXTS: dict[str, dict[str, Any]] = {
    "a style": {"smart_style_url": BROKEN},
    "a role": {"fhirContext": [{"reference": "ImagingStudy/1", "role": BROKEN}]},
    "a canonical": {"fhirContext": [{"canonical": "//["}]},
    "a reference": {"fhirContext": [{"reference": f"{BROKEN}/ImagingStudy/1"}]},
}


@pytest.mark.requirement("LC-14")
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
async def test_a_launch_with_a_broken_address_is_refused(server: RunningServer, context: dict[str, Any]) -> None:
    response = await post_launch(server, context=context)
    assert response.status_code == 400, response.text
    assert response.json()["problems"]


@pytest.mark.parametrize("own", [f"{BROKEN}/Practitioner/1", "//[/Practitioner/1"])
async def test_a_launch_for_a_user_at_a_broken_address_is_refused(server: RunningServer, own: str) -> None:
    response = await post_launch(server, user={"subject": "x", "fhirUser": own})
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("host", ["[", "a]b", "x[y"])
@pytest.mark.parametrize(
    ("method", "path", "media_type"),
    [
        ("GET", "/auth/authorize?x=1", "text/html"),
        ("GET", "/auth/sign-in", "text/html"),
        ("POST", "/auth/token", "application/json"),
        ("POST", "/auth/launch", "application/json"),
        ("GET", "/fhir/ClientApplication/public-app/$smart-launch", "application/fhir+json"),
    ],
)
async def test_a_broken_host_is_no_fault(
    server: RunningServer, method: str, path: str, media_type: str, host: str
) -> None:
    response = await server.http.request(method, server.root + path, headers={"host": host})
    assert response.status_code < 500, response.text
    assert response.headers["content-type"].startswith(media_type)
