"""The JavaScript client and all our pages in a real Chromium."""

import os
from typing import Any

import pytest

from tests.clients.node import Node
from tests.clients.running_server import SCOPE, Ports
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


def script_arguments(server: RunningServer, ports: Ports, chromium: str, **more: Any) -> dict[str, Any]:
    """The arguments of the scripts."""
    return {"origin": ports.page_origin, "base": server.base, "issuer": server.issuer, "chromium": chromium, **more}


@pytest.mark.requirement("CO-1", "CO-2", "CO-5", "edge-149", "edge-151", "E-1", "E-2", "E-4", "A-20")
async def test_fhirclient_in_a_browser_and_the_ways_from_our_forms_to_an_app(
    server: RunningServer, node: Node, chromium: str, ports: Ports
) -> None:
    more = {"clientId": "browser-app", "scope": SCOPE, "patient": "pat-a", "other": "pat-b"}
    result = await node.run("browser/launches.mjs", script_arguments(server, ports, chromium, **more))
    # The app requests records without a scope and must be able to read the response; Chromium logs that itself.
    refusals = [complaint for complaint in result["complaints"] if complaint.endswith("status of 403 (Forbidden)")]
    assert [complaint for complaint in result["complaints"] if complaint not in refusals] == []
    assert len(refusals) == 2
    assert result["a page that breaks its policy"] == 1, "complaints are not heard"
    used = {"pages": 4, "renewed": True, "user": "Practitioner/practitioner-1", "refused": 403}
    assert result["standalone"] == {**used, "patient": "pat-a", "again": "pat-a", "found": 17}
    gallery = {**used, "patient": "pat-b", "again": "pat-b", "found": 18, "banner": True, "opener": False}
    assert result["fromTheGallery"] == gallery
    assert result["loginStraightToTheApp"] == "a code"
    assert result["rememberedConsent"] == "a code"
    assert result["patientDecides"] == {"held": True, "answer": "none", "outcome": "a code"}
    assert result["strangers"] == {
        "discovery": 200, "statement": 200, "records": "kept from it", "token": "kept from it",
    }  # fmt: skip
    assert result["cancelled"] == "access_denied"


PAGES = (
    "login", "login-refused", "patient", "patient-none", "encounter", "consent", "consent-some",
    "consent-for-another", "gallery", "gallery-chosen", "grants", "grants-ending", "grants-ended", "signed-out",
    "consent-of-a-patient", "sign-in", "error",
)  # fmt: skip


@pytest.mark.requirement("A-3", "BP-7")
async def test_every_page_works_without_scripts_and_fits_a_narrow_screen(
    server: RunningServer, node: Node, chromium: str, ports: Ports
) -> None:
    pictures = os.environ.get("SMART_GATEWAY_PICTURES")
    result = await node.run(
        "browser/pages.mjs", script_arguments(server, ports, chromium, pictures=pictures), seconds=180
    )
    assert tuple(result["seen"]) == PAGES
    assert {name: seen["tooWide"] for name, seen in result["seen"].items()} == dict.fromkeys(PAGES, 0)
    assert {name: seen["unnamed"] for name, seen in result["seen"].items()} == dict.fromkeys(PAGES, 0)
    assert {name: seen["small"] for name, seen in result["seen"].items()} == {name: [] for name in PAGES}
    # Consent for an app on this device is not remembered: any other app could claim its URI (RFC 8252 8.6).
    assert not any(seen["remembers"] for seen in result["seen"].values())
    assert result["seen"]["consent-of-a-patient"]["heading"] == "Share your records with Vital Signs in a Browser?"
    assert "Berta" in result["seen"]["consent-for-another"]["heading"]
    assert result["stillTicked"]
    granted = result["granted"]
    assert {"patient/Patient.rs", "launch/patient"} <= set(granted["scope"].split())
    assert "patient/*.rs" not in granted["scope"]
    assert granted["patient"] == "pat-b"
    assert granted["encounter"].startswith("pat-b-encounter")
    assert result["error"] == "access_denied"
    # Chromium logs the status of the error page.
    assert [
        complaint for complaint in result["complaints"] if not complaint.endswith("status of 400 (Bad Request)")
    ] == []
