"""Errors of the event loop are logged without the values that their messages quote."""

import asyncio
import gc

import pytest

from gateway.commands.serving.serve import log_unhandled_error
from tests.telemetry.log_lines import log_lines


async def _fail() -> None:
    raise ValueError("Patient/secret")


def test_an_error_that_nobody_waits_for_is_logged_as_its_type_and_places(caplog: pytest.LogCaptureFixture) -> None:
    async def forget() -> None:
        asyncio.get_running_loop().set_exception_handler(log_unhandled_error)
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
