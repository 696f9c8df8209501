"""Bundles of requests, in tests."""

import base64
import json
from typing import Any

import httpx2

from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.writes import EVERYTHING, JSON_PATCH
from tests.servers.people import Resource

# Names of resources within a Bundle.
URN = "urn:uuid:11111111-1111-4111-8111-111111111111"
OTHER = "urn:uuid:22222222-2222-4222-8222-222222222222"


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **conditions: str) -> Resource:
    """An entry; `conditions` are other members of its request."""
    return {
        **({"fullUrl": full_url} if full_url else {}),
        **({} if resource is None else {"resource": resource}),
        "request": {"method": method, "url": url, **conditions},
    }


async def send_bundle(
    gateway: RunningGateway, kind: str, *entries: Resource, scope: str = EVERYTHING, **headers: str
) -> httpx2.Response:
    """The response to a Bundle. Header names have underscores."""
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    named = {
        "content-type": "application/fhir+json",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    return await gateway.request("/", scope, method="POST", json=bundle, headers=named)


def statuses(response: httpx2.Response) -> list[int]:
    """The status of each entry of an answer."""
    assert response.status_code == 200, response.text
    return [int(one["response"]["status"][:3]) for one in response.json()["entry"]]


def entry_reason(answer: Resource) -> str:
    """The reason for which an entry is refused; empty if it is not."""
    outcome = answer["response"].get("outcome")
    if outcome is None:
        return ""
    code: str = outcome["issue"][0]["details"]["coding"][0]["code"]
    return code


def encounter(patient: str = "pat-a", resource_id: str | None = None) -> Resource:
    """An Encounter about a patient."""
    own_id = {} if resource_id is None else {"id": resource_id}
    return {"resourceType": "Encounter", **own_id, "status": "planned", "subject": {"reference": f"Patient/{patient}"}}


def at(name: str) -> Resource:
    """A reference."""
    return {"reference": name}


def patch_binary(operations: Any) -> Resource:
    """A JSON Patch as an entry has it."""
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}
