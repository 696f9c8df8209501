"""The oracle in front of real servers: random requests of two apps, in turn and at the same time."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given

from tests.proxy.oracle.budget import budget
from tests.proxy.oracle.play import Play
from tests.proxy.oracle.strategies import Pair, Repertoire, Sequence, pairs, sequences
from tests.real_servers.gateway_requests import Gateways
from tests.real_servers.oracle_store import RealStore
from tests.real_servers.servers_under_test import MEDPLUM

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Encounters stay as they are, since servers that check references keep what is referred to. Not each has Binaries.
AMONG_OTHERS = Repertoire(
    reads=("read", "version", "history", "meta", "search"),
    written=("Observation",),
    subjects=("pat-a", "pat-a", "pat-a", "pat-b"),
    encounters=("e1", "e1", "e2"),
    binaries=(),
    is_alone=False,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def play(gateways: Gateways) -> AsyncIterator[Play]:
    """A gateway in front of sekmet or HAPI."""
    if gateways.upstream.name == MEDPLUM.name:
        pytest.skip("The oracle is played in front of sekmet and HAPI.")
    store = RealStore(gateways)
    yield Play(gateways.by_reach["full"], store, is_shared=True)
    await store.clear()


@budget(30, share=0.01)
@given(sequence=sequences(AMONG_OTHERS, max_size=6))
async def test_every_request_comes_to_what_the_model_says(play: Play, sequence: Sequence) -> None:
    await play.compare(sequence)


@budget(30, share=0.01)
@given(pair=pairs(AMONG_OTHERS))
async def test_two_writes_at_once_come_to_one_after_the_other(play: Play, pair: Pair) -> None:
    await play.compare_at_once(pair)
