"""The browser's own SMART library, and all our pages, in a real Chromium."""

import os
from typing import Any

import pytest

from tests.clients.house import SCOPE, Ports
from tests.clients.node import Node
from tests.smart.house import House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


def asked(house: House, ports: Ports, chromium: str, **more: Any) -> dict[str, Any]:
    """What the scripts must know."""
    return {"origin": ports.page_origin, "base": house.base, "issuer": house.issuer, "chromium": chromium, **more}


@pytest.mark.requirement("CO-1", "CO-2", "CO-5", "edge-149", "edge-151", "E-1", "E-2", "E-4", "A-20")
async def test_fhirclient_in_a_browser_and_the_ways_from_our_forms_to_an_app(
    house: House, node: Node, chromium: str, ports: Ports
) -> None:
    more = {"clientId": "browser-app", "scope": SCOPE, "patient": "pat-a", "other": "pat-b"}
    told = await node.run("browser/launches.mjs", asked(house, ports, chromium, **more))
    # The app asks for what it has no scope for and must be able to read the answer; Chromium notes that by itself.
    refusals = [one for one in told["complaints"] if one.endswith("status of 403 (Forbidden)")]
    assert [one for one in told["complaints"] if one not in refusals] == []
    assert len(refusals) == 2
    assert told["a page that breaks its policy"] == 1, "complaints are not heard"
    used = {"pages": 4, "renewed": True, "user": "Practitioner/practitioner-1", "refused": 403}
    assert told["standalone"] == {**used, "patient": "pat-a", "again": "pat-a", "found": 17}
    gallery = {**used, "patient": "pat-b", "again": "pat-b", "found": 18, "banner": True, "opener": False}
    assert told["fromTheGallery"] == gallery
    assert told["loginStraightToTheApp"] == "a code"
    assert told["rememberedConsent"] == "a code"
    assert told["patientDecides"] == {"held": True, "answer": "none", "outcome": "a code"}
    assert told["strangers"] == {
        "discovery": 200, "statement": 200, "records": "kept from it", "token": "kept from it",
    }  # fmt: skip
    assert told["cancelled"] == "access_denied"


PAGES = (
    "login", "login-refused", "patient", "patient-none", "encounter", "consent", "consent-some",
    "consent-for-another", "gallery", "gallery-chosen", "grants", "grants-ending", "grants-ended", "signed-out",
    "consent-of-a-patient", "sign-in", "error",
)  # fmt: skip


@pytest.mark.requirement("A-3", "BP-7")
async def test_every_page_works_without_scripts_and_fits_a_narrow_screen(
    house: House, node: Node, chromium: str, ports: Ports
) -> None:
    pictures = os.environ.get("SMART_GATEWAY_PICTURES")
    told = await node.run("browser/pages.mjs", asked(house, ports, chromium, pictures=pictures), seconds=180)
    assert tuple(told["seen"]) == PAGES
    assert {name: seen["tooWide"] for name, seen in told["seen"].items()} == dict.fromkeys(PAGES, 0)
    assert {name: seen["unnamed"] for name, seen in told["seen"].items()} == dict.fromkeys(PAGES, 0)
    assert {name: seen["small"] for name, seen in told["seen"].items()} == {name: [] for name in PAGES}
    # An app on this device is not remembered: another one could say that it is this one (RFC 8252 8.6).
    assert not any(seen["remembers"] for seen in told["seen"].values())
    assert told["seen"]["consent-of-a-patient"]["heading"] == "Share your records with Vital Signs in a Browser?"
    assert "Berta" in told["seen"]["consent-for-another"]["heading"]
    assert told["stillTicked"]
    granted = told["granted"]
    assert {"patient/Patient.rs", "launch/patient"} <= set(granted["scope"].split())
    assert "patient/*.rs" not in granted["scope"]
    assert granted["patient"] == "pat-b"
    assert granted["encounter"].startswith("pat-b-encounter")
    assert told["error"] == "access_denied"
    # Chromium notes the error page's status.
    assert [one for one in told["complaints"] if not one.endswith("status of 400 (Bad Request)")] == []
