"""Writes through the gateway, in tests: resources of two patients, and requests with their bodies."""

import json
from typing import Any

import httpx2

from tests.proxy.running_gateway import RunningGateway
from tests.servers.people import Resource

EVERYTHING = "patient/*.cruds"
JSON_PATCH = "application/json-patch+json"


def observation(patient: str = "pat-a", resource_id: str | None = None, /, **elements: Any) -> Resource:
    """An Observation about a patient."""
    own_id = {} if resource_id is None else {"id": resource_id}
    subject = {"reference": f"Patient/{patient}"}
    return {
        "resourceType": "Observation",
        **own_id,
        "status": "final",
        "code": {"text": "weight"},
        "subject": subject,
        **elements,
    }


def replace(path: str, value: Any) -> list[Resource]:
    """A JSON Patch that replaces one value."""
    return [{"op": "replace", "path": path, "value": value}]


def reason_of(response: httpx2.Response) -> str:
    """The reason of a refusal; the empty text for any other response."""
    if response.status_code < 400:
        return ""
    code: str = response.json()["issue"][0]["details"]["coding"][0]["code"]
    return code


async def write(
    gateway: RunningGateway,
    method: str,
    path: str,
    body: Any = None,
    scope: str = EVERYTHING,
    **headers: str,
) -> httpx2.Response:
    """One write. `body` is sent as it is if it is text or bytes; header names have underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    options: dict[str, Any] = {}
    if body is not None:
        options["content"] = body if isinstance(body, str | bytes) else json.dumps(body)
        named.setdefault("content-type", JSON_PATCH if method == "PATCH" else "application/fhir+json")
    return await gateway.request(path, scope, method=method, headers=named, **options)
