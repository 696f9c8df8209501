"""Every load that the gateway is measured under is answered rightly by a real one in front of the real upstream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.bodies import write_site
from bench.load import check, prepare
from bench.machine import NotHere, choose_cores, require_tools
from bench.scenarios import SCENARIOS, Load, Tokens
from bench.servers import Gateway, Place, Upstream, free_port
from bench.tokens import Issuer

_LOADS = dict.fromkeys(load for one in SCENARIOS for load in (one.load, one.peer_load))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    try:
        require_tools()
    except NotHere as missing:
        pytest.skip(str(missing))
    folder, port = tmp_path_factory.mktemp("place"), free_port()
    cores = choose_cores(os.sched_getaffinity(0))
    place = Place(folder, write_site(folder / "site"), Issuer(), port, envoy=Path())
    with ExitStack() as stack:
        stack.enter_context(Upstream(place, cores.load, port))
        yield stack.enter_context(Gateway(place, cores.server))


@pytest.mark.parametrize(
    "load",
    [load for load in _LOADS if load.tokens is Tokens.ONE],
    ids=lambda load: f"{load.path}, {len(load.scope.split())} scopes, {load.connections} connections",
)
def test_the_gateway_answers_what_the_row_is_about(gateway: Gateway, load: Load) -> None:
    side = prepare(gateway.place, gateway, load, "ours")
    check(side)
    assert ("_page=" in side.path) == (load.follow is not None)
