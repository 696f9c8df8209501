"""`explain` and the running gateway say the same of a token."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.app import Gateway
from gateway.policy.reasons import Reason
from gateway.settings.model import Settings
from tests.commands.test_explain import REFUSED_TOKENS, explain_token, make_settings, make_token
from tests.proxy.lenient_server import lenient_server
from tests.proxy.running_gateway import CollectedTelemetry, run_lifespan, serve_on
from tests.servers.ports import free_port

TOKENS: dict[str, tuple[dict[str, Any], Reason]] = {
    **{name: (changes, reason) for name, (changes, reason, _) in REFUSED_TOKENS.items()},
    "nothing that is wrong": ({}, Reason.PERMITTED),
    "scopes for something else": ({"scope": "patient/Condition.rs"}, Reason.SCOPE_INSUFFICIENT),
    "a scope that grants nothing": ({"scope": "patient/Observation.rs?code:not=x"}, Reason.TYPE_OUT_OF_REACH),
    "no patient": ({"patient": None}, Reason.PATIENT_CONTEXT_MISSING),
}


@pytest.mark.parametrize(("changes", "reason"), TOKENS.values(), ids=TOKENS)
async def test_the_reason_is_the_same_for_a_token_with(tmp_path: Path, changes: dict[str, Any], reason: Reason) -> None:
    port, seen = free_port(), CollectedTelemetry()
    token = make_token(**changes)
    async with lenient_server(Observation=("patient", "subject", "code")) as upstream:
        settings = make_settings(tmp_path, upstream.base_url)
        gateway = Gateway(Settings.model_validate(settings), seen)
        async with run_lifespan(gateway), serve_on(gateway, port), httpx2.AsyncClient(trust_env=False) as http:
            await http.get(f"http://127.0.0.1:{port}/fhir/Observation", headers={"authorization": f"Bearer {token}"})
        explanation = await asyncio.to_thread(explain_token, settings, token)
    assert [record.reason for record in seen.records] == [reason]
    assert explanation.reason is reason
