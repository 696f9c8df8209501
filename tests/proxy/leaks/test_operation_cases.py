"""Cases in which other gateways let operations through unread, each a row of `operation_cases.json`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, ids_in, is_refused
from tests.proxy.running_gateway import RunningGateway

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

CASES = json.loads(Path(__file__).with_name("operation_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['id']}: {case['case']}" for case in CASES])
async def test_an_operation_shows_what_its_case_says(gateway: RunningGateway, case: dict[str, Any]) -> None:
    for request in case["requests"]:
        response = await gateway.request(request["path"], case["scope"], method=request["method"])
        if "reason" in request:
            assert is_refused(response, request["status"], request["reason"])
            continue
        assert (response.status_code, find_leaks(response)) == (request["status"], [])
        shown = set(ids_in(response))
        assert shown >= set(request["shows"])
        assert shown.isdisjoint(request["hides"])
