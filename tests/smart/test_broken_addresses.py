"""An address that is none is the mistake of who sends it, and is answered as one: never as a fault of ours."""

from typing import Any

import pytest

from tests.smart.house import House
from tests.smart.launcher import ask_launch

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

# What an address cannot begin with: `urlsplit` raises for an IPv6 address without an end.
BROKEN = "https://["
CONTEXTS: dict[str, dict[str, Any]] = {
    "a style": {"smart_style_url": BROKEN},
    "a role": {"fhirContext": [{"reference": "ImagingStudy/1", "role": BROKEN}]},
    "a canonical": {"fhirContext": [{"canonical": "//["}]},
    "a reference": {"fhirContext": [{"reference": f"{BROKEN}/ImagingStudy/1"}]},
}


@pytest.mark.requirement("LC-14")
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
async def test_a_launch_with_a_broken_address_is_refused(house: House, context: dict[str, Any]) -> None:
    response = await ask_launch(house, context=context)
    assert response.status_code == 400, response.text
    assert response.json()["problems"]


@pytest.mark.parametrize("own", [f"{BROKEN}/Practitioner/1", "//[/Practitioner/1"])
async def test_a_launch_for_a_user_at_a_broken_address_is_refused(house: House, own: str) -> None:
    response = await ask_launch(house, user={"subject": "x", "fhirUser": own})
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
async def test_a_broken_host_is_no_fault(house: House, method: str, path: str, media_type: str, host: str) -> None:
    response = await house.http.request(method, house.root + path, headers={"host": host})
    assert response.status_code < 500, response.text
    assert response.headers["content-type"].startswith(media_type)
