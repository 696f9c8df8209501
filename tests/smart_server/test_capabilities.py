"""Every capability in smart-configuration is proven by using it (checklist 1.4)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.smart_server.capability_proofs import PROOFS, launch_tokens
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

# The capability sets of the conformance page: of each set of alternatives one must be listed.
SETS: dict[str, list[set[str]]] = {
    "a patient's app, standalone": [
        {"launch-standalone"}, {"client-public", "client-confidential-symmetric"},
        {"context-standalone-patient"}, {"permission-patient"},
    ],
    "a patient's app in a portal": [
        {"launch-ehr"}, {"client-public", "client-confidential-symmetric"}, {"context-ehr-patient"},
        {"permission-patient"},
    ],
    "a clinician's app, standalone": [
        {"launch-standalone"}, {"client-public", "client-confidential-symmetric"}, {"permission-user"},
        {"permission-patient"},
    ],
    "a clinician's app in an EHR": [
        {"launch-ehr"}, {"client-public", "client-confidential-symmetric"}, {"context-ehr-patient"},
        {"context-ehr-encounter"}, {"permission-user"}, {"permission-patient"},
    ],
}  # fmt: skip


@pytest.mark.requirement("C-1", "C-2", "C-3", "C-4", "C-5", "C-6", "C-7", "C-8", "RF-2", "SC-8", "SC-9", "SC-19")
@pytest.mark.parametrize("prove", PROOFS.values(), ids=PROOFS)
async def test_a_capability_that_is_listed_works(
    server: RunningServer, prove: Callable[[RunningServer], Awaitable[None]]
) -> None:
    await prove(server)


async def capabilities(server: RunningServer) -> set[str]:
    """The listed capabilities."""
    return set((await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()["capabilities"])


@pytest.mark.requirement("C-9", "C-12", "D-24", "SC-10", "suite-D3")
async def test_what_is_listed_is_what_is_proven_here(server: RunningServer) -> None:
    assert await capabilities(server) == set(PROOFS)


@pytest.mark.requirement("C-10")
@pytest.mark.parametrize("members", SETS.values(), ids=SETS)
async def test_a_capability_set_is_whole(server: RunningServer, members: list[set[str]]) -> None:
    listed = await capabilities(server)
    assert all(alternatives & listed for alternatives in members)


@pytest.mark.requirement("C-5", "C-12")
async def test_without_a_style_none_is_listed_and_none_is_told(fhir_server: str) -> None:
    """A launcher may still send one."""

    def change(settings: dict[str, Any]) -> None:
        del settings["smart_server"]["style_url"]

    async with run_smart_server(fhir_server, change=change) as server:
        assert await capabilities(server) == set(PROOFS) - {"context-style"}
        tokens = await server.request_tokens(server.app(), "launch/patient patient/Patient.r")
        assert "smart_style_url" not in tokens
        style = "https://ehr.example/style.json"
        launched = await launch_tokens(server, "launch patient/Patient.r", patient="pat-a", smart_style_url=style)
        assert launched["smart_style_url"] == style
