"""A server that holds its responses back, and requests for tests of the connection pool."""

import asyncio

from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.exchange_types import Request
from tests.upstream.raw_server import HELLO, Peer


def request_name(request: Request) -> str:
    return request.method.decode()


def numbered_request(number: int) -> Request:
    return Request(b"GET", b"/%d" % number)


class HeldServer:
    """A server that responds to a request only when the test says so."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.open = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.read_request()
            self.arrived.put_nowait(request.split(b" ")[1])
            await self.open.acquire()
            peer.write(HELLO)


async def wait_for_queue(pool: ConnectionPool, waiting: int) -> None:
    """Let the event loop run until so many requests wait."""
    for _ in range(1000):
        if pool.waiting == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{pool.waiting} requests wait, not {waiting}")
