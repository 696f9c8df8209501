"""A gateway that was replaced is closed when its last request has ended, and not before."""

import asyncio
from typing import Any, cast

from gateway.app import Gateway
from gateway.asgi.types import Message, Receive, Scope, Send
from gateway.commands.serving.reloadable_gateway import ReloadableGateway


class _Gateway:
    """An application whose requests end when the test says so."""

    def __init__(self) -> None:
        self.requests = 0
        self.may_end = asyncio.Event()
        self.is_closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        await self.may_end.wait()
        assert not self.is_closed

    async def aclose(self) -> None:
        self.is_closed = True


async def _receive() -> Message:
    raise AssertionError


async def _send(_: Message) -> None:
    raise AssertionError


def _request(application: ReloadableGateway) -> "asyncio.Task[None]":
    async def run() -> None:
        await application({"type": "http"}, _receive, _send)

    return asyncio.create_task(run())


async def test_requests_end_where_they_began_and_new_ones_go_to_the_other() -> None:
    first, second = _Gateway(), _Gateway()
    application = ReloadableGateway(cast("Gateway", first), cast("Any", None))
    began = [_request(application), _request(application)]
    await asyncio.sleep(0)
    retiring = asyncio.create_task(application.replace(cast("Gateway", second)).retire())
    later = _request(application)
    await asyncio.sleep(0)
    assert (first.requests, second.requests) == (2, 1)
    began[0].cancel()
    await asyncio.wait(began[:1])
    await asyncio.sleep(0)
    assert not retiring.done()
    first.may_end.set()
    await asyncio.gather(began[1], retiring)
    assert first.is_closed
    second.may_end.set()
    await later
    assert not second.is_closed


async def test_without_requests_it_is_closed_at_once() -> None:
    first = _Gateway()
    application = ReloadableGateway(cast("Gateway", first), cast("Any", None))
    await application.replace(cast("Gateway", _Gateway())).retire()
    assert first.is_closed
