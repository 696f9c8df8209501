"""A real client keeps app state at the address that discovery names."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.node import Node
from tests.smart_server.app_states import ORIGIN, PATIENT_SCOPE, keep_app_state
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that keeps app state."""
    async with run_smart_server(fhir_server, change=keep_app_state) as running:
        yield running


@pytest.mark.requirement("AS-1", "AS-2", "AS-8", "AS-11", "AS-12")
async def test_fhir_kit_client_keeps_app_state(keeping: RunningServer, node: Node) -> None:
    app = keeping.app("state-app", redirect_uri=f"{ORIGIN}/callback")
    tokens = await keeping.request_tokens(app, PATIENT_SCOPE)
    told = await node.run(
        "apps/fhir-kit-client-state.mjs",
        {"base": keeping.base, "token": tokens["access_token"], "patient": "pat-a", "other": "pat-b", "system": ORIGIN},
    )
    assert told == {
        "types": ["Basic"],
        "afterwards": {"created": ["first"], "updated": ["second"], "deleted": []},
        "refused": {
            "stale": [412, "precondition_failed"],
            "withoutVersion": [428, "precondition_missing"],
            "toAnother": [403, "app_state_out_of_reach"],
            "gone": [412, "precondition_failed"],
        },
    }
