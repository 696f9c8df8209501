"""Helpers for the tests of HAPI's quirks: requests to HAPI itself, and refusals before anything is sent to it."""

from typing import Any

import httpx2

from tests.proxy.leaked_marks import refusal_reason
from tests.real_servers.gateway_requests import Gateways
from tests.real_servers.stored_resources import about, of_type
from tests.servers.people import B_MARKER

A_OBSERVATIONS = of_type("Observation", about("pat-a"))


async def request_refused_unsent(gateways: Gateways, path: str, **options: Any) -> str:
    """The reason of a refusal, for which nothing was sent to the server."""
    response = await gateways.request(path, **options)
    records = reversed(gateways.by_reach["full"].telemetry.records)
    record = next(record for record in records if record.decision_id == response.headers["x-decision-id"])
    assert record.upstream_seconds is None, "something was sent"
    assert 400 <= response.status_code < 500
    return refusal_reason(response)


async def request_hapi(gateways: Gateways, path: str, **options: Any) -> httpx2.Response:
    """The response of HAPI itself, without the gateway."""
    method = options.pop("method", "GET")
    return await gateways.by_reach["full"].client.request(method, gateways.base_url + path, **options)


def shows_b(response: httpx2.Response) -> bool:
    """Whether HAPI's response contains records of B."""
    return response.status_code == 200 and B_MARKER in response.text
