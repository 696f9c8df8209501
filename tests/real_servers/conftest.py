"""Fixtures: one FHIR server at a time, and in front of it a gateway for each configuration of reach."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.proxy.running_gateway import RunningGateway, running_gateways
from tests.real_servers.gateway_requests import Gateways
from tests.real_servers.servers_under_test import HAPI, HAPI_STRICT, UPSTREAMS, Upstream
from tests.real_servers.stored_resources import additions
from tests.servers.load import load
from tests.servers.process import NotAvailable

# The configurations of reach (enforcement.md 2), and the use of the server's own compartment search.
REACHES: dict[str, dict[str, Any]] = {
    "full": {},
    "subject": {"compartments": {"membership": "subject"}},
    "practice": {"compartments": {"practitioner_reach": "compartment"}},
    "panel": {
        "compartments": {
            "practitioner_reach": "panel",
            "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
        }
    },
    "visits": {
        "compartments": {
            "practitioner_reach": "panel",
            "panel": [
                {
                    "resource_type": "Appointment",
                    "parameter": "practitioner",
                    "patient_element": "participant.actor",
                    "criteria": {"status": "booked"},
                },
                {"resource_type": "Group", "parameter": "managing-entity", "patient_element": "member.entity"},
            ],
        }
    },
    "family": {"compartments": {"further_related_persons": "person"}},
    "labels": {"record_rules": {"security_labels": {"labels": ["R", "V"], "user_types": ["Practitioner"]}}},
    "compartment": {"upstream": {"compartment_search": True}},
    "operations": {"operations": {"Observation/$lastn": {"enabled": True}}},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of HAPI's quirks in front of HAPI only."""
    items[:] = [item for item in items if not _is_foreign(item)]


def _is_foreign(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    is_here = item.path.parent == Path(__file__).parent and item.path.name.startswith("test_hapi_")
    if not is_here or callspec is None:
        return False
    return callspec.params["running"] not in (HAPI, HAPI_STRICT)


@pytest.fixture(scope="session", params=UPSTREAMS)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Upstream, str]]:
    """A server and its base URL. pytest takes the servers one after the other, so that only one runs at a time."""
    upstream: Upstream = request.param
    try:
        server = upstream.start()
    except NotAvailable as missing:
        pytest.skip(str(missing))
    with server:
        load(server.base_url, [additions()])
        yield upstream, server.base_url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways(running: tuple[Upstream, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateways]:
    """The gateways in front of the server; each has read its CapabilityStatement."""
    upstream, base_url = running
    async with contextlib.AsyncExitStack() as until_the_end:
        by_reach: dict[str, RunningGateway] = {}
        for reach, settings in REACHES.items():
            starting = running_gateways({reach: base_url}, tmp_path_factory.mktemp(reach), **settings)
            by_reach |= await until_the_end.enter_async_context(starting)
            assert (await by_reach[reach].request("/metadata", None)).status_code == 200
        yield Gateways(upstream, base_url, by_reach)
