"""Load resources into a FHIR server through its API."""

from __future__ import annotations

from collections.abc import Iterable

import httpx2

from tests.servers.people import Resource


class LoadError(Exception):
    """The server refused a Bundle. The message has its response."""


def load(base_url: str, bundles: Iterable[Resource], timeout_seconds: float = 120.0) -> None:
    """Post each Bundle to the FHIR base, in order.  Raises `LoadError` at the first refusal."""
    headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
    with httpx2.Client(trust_env=False, timeout=timeout_seconds, headers=headers) as client:
        for bundle in bundles:
            response = client.post(base_url, json=bundle)
            if response.status_code != 200:
                raise LoadError(f"{base_url} answered {response.status_code} to a Bundle: {response.text[:2000]}")
