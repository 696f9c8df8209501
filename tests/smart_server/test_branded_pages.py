"""The organisation's name and logo on the pages of a running server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'


@pytest.fixture(scope="module")
def logo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file."""
    file = tmp_path_factory.mktemp("branding") / "logo.svg"
    file.write_bytes(LOGO)
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def branded(fhir_server: str, logo: Path) -> AsyncIterator[RunningServer]:
    """A server with a logo."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"]["branding"] = {
            "name": "St. Mary's", "logo": str(logo), "accent_colour": "#1a5fb4", "privacy_url": "https://p.example/",
        }  # fmt: skip

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


async def test_the_logo_is_served_from_our_own_host_and_may_be_kept(branded: RunningServer) -> None:
    page = await branded.person().open(f"{branded.issuer}/sign-in")
    assert page.title.endswith(" · St. Mary's")
    assert "img-src 'self'" in page.headers["content-security-policy"]
    address = page.html.partition('<img class="logo" src="')[2].partition('"')[0]
    assert address.startswith(f"{branded.issuer}/branding/logo-")
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(address)
        other = await client.get(f"{branded.issuer}/branding/logo-0.svg")
    assert response.content == LOGO
    assert response.headers["content-type"] == "image/svg+xml"
    assert "immutable" in response.headers["cache-control"]
    # Opened by itself, a picture is a document: it may neither run nor load anything.
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert other.status_code == 404


async def test_an_error_page_is_branded_too(branded: RunningServer) -> None:
    page = await branded.person().open(f"{branded.issuer}/authorize")
    assert page.status == 400
    assert "https://p.example/" in page.html
    assert page.title.endswith(" · St. Mary's")
