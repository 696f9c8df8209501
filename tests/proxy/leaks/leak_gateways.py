"""The gateways, scopes and helper functions of the leak corpus tests."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.proxy.running_gateway import RunningGateway
from tests.servers.hostile import HostileInLoop, Mode
from tests.servers.people import CONFIDENTIALITY, MARKER_SYSTEM, Resource
from tests.servers.population import population

WHOLE = "patient/*.rs"
OBSERVATIONS = "patient/Observation.rs"
LABORATORY = "patient/Observation.rs?category=laboratory"
VITAL_SIGNS = "patient/Observation.rs?category=vital-signs"
RESTRICTED = f"patient/*.rs?_security={CONFIDENTIALITY}|R"
OWN_OBSERVATIONS = {
    f"Observation/{resource['id']}"
    for resource in population()
    if resource["resourceType"] == "Observation" and "pat-a-" in resource["id"]
} | {"Observation/pat-a-absolute"}


@dataclass(frozen=True)
class LeakGateways:
    """The gateways, each in front of its own upstream, and the hostile server that is behind most of them.

    `sekmet` is in front of a real server; `hostiles` are in front of the hostile server, by its mode.
    """

    sekmet: RunningGateway
    upstream: str
    hostile: HostileInLoop
    by_mode: dict[Mode, RunningGateway]


async def request_without_upstream(
    gateways: LeakGateways, path: str, scope: str, *, method: str = "GET", **options: Any
) -> httpx2.Response:
    """The response to a request that must be refused without an upstream request."""
    gateways.hostile.clear_requests()
    response = await gateways.by_mode[Mode.HONEST].request(path, scope, method=method, **options)
    assert gateways.hostile.requests() == []
    return response


def make_observation(resource_id: str, subject: Any, marker: str = "", **elements: Any) -> Resource:
    """An Observation about `subject`."""
    tag = [{"system": MARKER_SYSTEM, "code": marker}] if marker else []
    return {
        "resourceType": "Observation",
        "id": resource_id,
        "meta": {"tag": tag},
        "status": "final",
        "code": {"text": "x"},
        "subject": subject,
        **elements,
    }


OF_A, OF_B = {"reference": "Patient/pat-a"}, {"reference": "Patient/pat-b"}
