"""What serving adds to the gateway itself: the errors of its event loop are told without what they quote."""

import asyncio
import gc

import pytest

from gateway.commands.serve import error_outside_of_requests
from tests.telemetry.log_lines import log_lines


async def _fail() -> None:
    raise ValueError("Patient/secret")


def test_an_error_that_nobody_waits_for_is_logged_as_its_type_and_places(caplog: pytest.LogCaptureFixture) -> None:
    async def forget() -> None:
        asyncio.get_running_loop().set_exception_handler(error_outside_of_requests)
        task = asyncio.create_task(_fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(forget())
    [line] = log_lines(caplog)
    assert (line["event"], line["error"], "secret" in str(line)) == (
        "an error of ours outside of any request",
        "ValueError",
        False,
    )
    assert line["places"][-1].endswith(" _fail")
