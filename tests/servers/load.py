"""Put resources into a FHIR server through its own front door."""

from __future__ import annotations

from collections.abc import Iterable

import httpx2

from tests.servers.people import Resource


class NotLoaded(Exception):
    """The server refused a Bundle; the message carries its answer."""


def load(base_url: str, bundles: Iterable[Resource], timeout_seconds: float = 120.0) -> None:
    """Post each Bundle to the FHIR base, in order.  Raises `NotLoaded` at the first refusal."""
    headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
    with httpx2.Client(trust_env=False, timeout=timeout_seconds, headers=headers) as client:
        for bundle in bundles:
            answer = client.post(base_url, json=bundle)
            if answer.status_code != 200:
                raise NotLoaded(f"{base_url} answered {answer.status_code} to a Bundle: {answer.text[:2000]}")
