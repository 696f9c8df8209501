"""Requests as the FHIR client of the public conformance suites sends them."""

import httpx2

from tests.smart_server.smart_app import App

LAUNCH = "launch/patient openid fhirUser offline_access"


async def read_fhir(app: App, path: str, token: str | None) -> httpx2.Response:
    """A request as the suites' FHIR client sends it."""
    headers = {"accept": "application/fhir+json", "accept-charset": "utf-8"}
    headers |= {} if token is None else {"authorization": f"Bearer {token}"}
    return await app.http.get(f"{app.base}{path}", headers=headers)
