"""A real gateway in front of the real upstream responds correctly to every load that it is measured under."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from bench.load import check_side, prepare_side
from bench.machine import MissingRequirement, choose_cores, require_tools
from bench.nginx import Upstream
from bench.scenarios import SCENARIOS, Load, Tokens, Write
from bench.servers import BenchSetup, Gateway, upstream_base
from bench.site import write_site
from bench.tokens import Issuer
from tests.servers.ports import free_port

_LOADS = dict.fromkeys(load for scenario in SCENARIOS for load in (scenario.load, scenario.peer_load))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    try:
        require_tools()
    except MissingRequirement as missing:
        pytest.skip(str(missing))
    folder, port = tmp_path_factory.mktemp("place"), free_port()
    cores = choose_cores(os.sched_getaffinity(0))
    place = BenchSetup(folder, write_site(folder / "site", upstream_base(port)), Issuer(), port, envoy=Path())
    with ExitStack() as stack:
        stack.enter_context(Upstream(place, cores.load, port))
        yield stack.enter_context(Gateway(place, cores.server))


@pytest.mark.parametrize(
    "load",
    [load for load in _LOADS if load.tokens is Tokens.ONE],
    ids=lambda load: (
        f"{load.write.value if load.write else 'read'} {load.path}, "
        f"{len(load.scope.split())} scopes, {load.connections} connections"
    ),
)
def test_the_gateway_answers_what_the_row_is_about(gateway: Gateway, load: Load) -> None:
    side = prepare_side(gateway.setup, gateway, load, "ours")
    check_side(side)
    assert ("_page=" in side.path) == (load.follow is not None)


@pytest.mark.parametrize("load", [load for load in _LOADS if load.write], ids=lambda load: str(load.write))
def test_a_write_takes_the_round_trips_that_its_row_is_counted_by(gateway: Gateway, load: Load) -> None:
    side = prepare_side(gateway.setup, gateway, load, "ours")
    check_side(side)
    before = _upstream_requests(gateway)
    check_side(side)
    # The upstream answers an update by a request to itself. The count includes the request for the count.
    own = 1 + (load.write is Write.UPDATE)
    assert _upstream_requests(gateway) - before - own == load.round_trips


def _upstream_requests(gateway: Gateway) -> int:
    page = httpx2.get(f"http://127.0.0.1:{gateway.setup.upstream_port}/requests", trust_env=False).text
    return int(page.splitlines()[2].split()[2])
