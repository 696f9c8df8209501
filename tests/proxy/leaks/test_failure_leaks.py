"""The leak corpus, failures: conditional reads, error texts, and responses that must be identical.

The number in a test's name is the number of the line in the corpus. Where a correct server would hide the fault, the
hostile server or a lenient one is behind the gateway.
"""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.proxy.leaked_marks import (
    find_leaks,
    is_refused,
)
from tests.proxy.leaks.leak_gateways import (
    OF_B,
    LeakGateways,
    make_observation,
)
from tests.proxy.lenient_server import lenient_server
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.servers.hostile import B_MARKER, HOSTILE_B, Mode

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


async def test_leak_27_a_condition_proves_nothing_about_what_is_out_of_reach(gateways: LeakGateways) -> None:
    gateway = gateways.sekmet
    absent = await gateway.request("/Observation/never-was")
    etags = ("*", 'W/"1"', 'W/"1", W/"2"')
    for etag in etags:
        for headers in ({"if-none-match": etag}, {"if-modified-since": "Thu, 01 Jan 2037 09:00:00 GMT"}):
            response = await gateway.request("/Observation/pat-b-smoking", headers=headers)
            assert (response.status_code, response.content) == (404, absent.content)
    own = await gateway.request("/Observation/pat-a-smoking")
    unchanged = await gateway.request("/Observation/pat-a-smoking", headers={"if-none-match": own.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    liar = gateways.by_mode[Mode.ALWAYS_304]
    response = await liar.request("/Observation/a-1", headers={"if-none-match": "*"})
    assert (response.status_code in {404, 502}, find_leaks(response)) == (True, [])


FAILURES = {
    Mode.OUTCOME_QUOTES_B: (400, "upstream_rejected"),
    Mode.PATIENT_AS_404: (404, "not_found"),
    Mode.PATIENT_AS_500: (502, "upstream_failed"),
    Mode.STACK_TRACE: (502, "upstream_failed"),
    Mode.UNAUTHORIZED: (502, "upstream_refused"),
    Mode.REDIRECT: (502, "upstream_malformed"),
}


# Failures that are caused by the requested resource itself are presented as not found (leak_30).
PER_RECORD_FAILURES = {Mode.OUTCOME_QUOTES_B, Mode.REDIRECT}


@pytest.mark.parametrize("mode", FAILURES)
async def test_leak_28_what_a_server_says_of_its_failure_stays_behind(gateways: LeakGateways, mode: Mode) -> None:
    for path in ("/Observation/a-1", "/Observation?code=x", "/Observation/_history"):
        response = await gateways.by_mode[mode].request(path)
        unseen = path == "/Observation/a-1" and mode in PER_RECORD_FAILURES
        assert is_refused(response, *((404, "not_found") if unseen else FAILURES[mode]))
        assert find_leaks(response, (HOSTILE_B, "evil.example")) == []


INDISTINGUISHABLE = (
    ("/{}/pat-b", "/{}/never-was", "Patient"),
    ("/{}/pat-b-smoking", "/{}/never-was", "Observation"),
    ("/{}/pat-b-smoking/_history", "/{}/never-was/_history", "Observation"),
    ("/{}/pat-b-smoking/_history/1", "/{}/never-was/_history/1", "Observation"),
    ("/{}/pat-b-smoking/_history/77", "/{}/never-was/_history/1", "Observation"),
    ("/{}/pat-b-smoking?_elements=status", "/{}/never-was", "Observation"),
    ("/{}/pat-b-binary", "/{}/never-was", "Binary"),
    ("/{}/pat-b-device", "/{}/never-was", "Device"),
)


@pytest.mark.parametrize(("hidden", "absent", "resource_type"), INDISTINGUISHABLE)
async def test_leak_30_refused_and_absent_are_the_same_bytes(
    gateway: RunningGateway, hidden: str, absent: str, resource_type: str
) -> None:
    for method in ("GET", "HEAD"):
        hidden_response, other = await asyncio.gather(
            gateway.request(hidden.format(resource_type), method=method),
            gateway.request(absent.format(resource_type), method=method),
        )
        assert (hidden_response.status_code, hidden_response.content, _comparable_headers(hidden_response)) == (
            404,
            other.content,
            _comparable_headers(other),
        )


def _comparable_headers(response: httpx2.Response) -> dict[str, str]:
    """The headers without those that differ in every response."""
    passing = {"x-request-id", "x-decision-id", "date"}
    return {name: value for name, value in response.headers.items() if name not in passing}


async def test_leak_30_refused_and_absent_cost_the_server_the_same(tmp_path: Path) -> None:
    of_b = make_observation("of-b", OF_B, B_MARKER)
    async with lenient_server(of_b) as lenient, running_gateway(lenient.base_url, tmp_path) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        for path in ("/Observation/{}", "/Observation/{}/_history", "/Observation/{}/_history/1"):
            costs = []
            for name in ("of-b", "never-was"):
                lenient.requests.clear()
                assert is_refused(await gateway.request(path.format(name)), 404, "not_found")
                costs.append([request.replace(name, "id") for request in lenient.requests])
            assert costs[0] == costs[1]
