"""Fuzzes the HTTP parser with arbitrary bytes in arbitrary pieces.

An exchange must end with one response or one `UpstreamError`; it must never hang or contain bytes of another exchange.
A connection that received anything unexpected must never be used again.

`python -m tests.upstream.fuzz_http_responses` runs until it is stopped; `test_fuzz.py` does the same for some seconds.

The oracle is h11, which shares no code with llhttp. h11 must parse the same response from the same bytes, and if the
connection is reusable, the response must also end for h11 exactly at the last byte.
"""

import asyncio
import inspect
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11

from gateway.upstream.connection import Connection, Deadlines
from gateway.upstream.exchange_types import UpstreamError
from gateway.upstream.response_parser import ResponseParser

LIMIT = 1 << 16
NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nthe next one"


class MemoryTransport(asyncio.Transport):
    """A transport in memory. It delivers nothing while it is paused or after it was closed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._waiting: list[bytes] = []
        self._paused = False
        self._closing = False
        self.lost = False

    def deliver(self, data: bytes) -> None:
        if self._paused:
            self._waiting.append(data)
        elif not self._closing:
            self._connection.data_received(data)

    def end(self, error: Exception | None) -> None:
        """The peer has closed the connection."""
        if not self.lost and not self._paused:
            self.lost = True
            self._closing = True
            self._connection.connection_lost(error)

    def write(self, data: Any) -> None:
        assert not self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.deliver(data)

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True


class FakeTime:
    """The part of an event loop that a connection uses, with a clock that the test advances."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = 0.0
        self._timers: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = []

    def create_future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), self._loop)
        self._timers.append((when, callback, handle))
        return handle

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due, self._timers = self._timers, []
        for when, callback, handle in due:
            if handle.cancelled():
                continue
            if when <= self.now:
                callback()
            else:
                self._timers.append((when, callback, handle))


class RecordingOwner:
    """Records how exchanges ended."""

    def __init__(self) -> None:
        self.ends: list[bool] = []

    def exchange_ended(self, connection: Connection, reusable: bool) -> None:
        self.ends.append(reusable)

    def connection_closed(self, connection: Connection) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an exchange ended: a status and a body, or an error."""

    status: int = 0
    body: bytes = b""
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class FuzzCase:
    """What the server does: the first two octets determine the delivery, the others are what it sends."""

    is_head_request: bool
    stream: bool
    ending: int
    step: int
    data: bytes

    @classmethod
    def parse(cls, octets: bytes) -> "FuzzCase":
        how, step = (octets + b"\0\0")[:2]
        return cls(bool(how & 1), bool(how & 2), (how >> 2) % 3, step % 64, octets[2:])

    @property
    def pieces(self) -> list[bytes]:
        if self.step == 0:
            return [self.data] if self.data else []
        return [self.data[start : start + self.step] for start in range(0, len(self.data), self.step)]


async def run_exchange(connection: Connection, case: FuzzCase) -> Outcome:
    response = connection.start(b"", b"", is_head_request=case.is_head_request)
    assert response.waiter is not None
    try:
        await response.waiter
        if response.error is not None:
            raise response.error
        if case.stream:
            body = b"".join([piece async for piece in response.stream()])
        else:
            body = await response.read(LIMIT)
    except UpstreamError as error:
        return Outcome(error=error)
    return Outcome(response.status, body)


async def turn_loop() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def check_case(case: FuzzCase) -> None:
    owner, clock = RecordingOwner(), FakeTime(asyncio.get_running_loop())
    connection = Connection(owner, Deadlines(read=10.0, total=100.0, stream=100.0), clock)  # type: ignore[arg-type]
    transport = MemoryTransport(connection)
    connection.connection_made(transport)
    task = asyncio.create_task(run_exchange(connection, case))
    await turn_loop()
    delivered = b""
    for piece in case.pieces:
        if owner.ends:
            break
        delivered += piece
        transport.deliver(piece)
        if case.step % 2:
            await turn_loop()
    await turn_loop()
    ended_by = "nothing" if owner.ends else ("eof", "reset", "silence")[case.ending]
    if ended_by == "eof":
        transport.end(None)
    elif ended_by == "reset":
        transport.end(ConnectionResetError())
    else:
        clock.advance(11.0)
        clock.advance(100.0)
    await turn_loop()
    assert task.done(), "the exchange hangs"
    outcome = task.result()
    assert len(owner.ends) == 1, "the exchange ended more or less than once"
    reusable = owner.ends[0]
    assert reusable is not transport.is_closing(), (
        "a connection is open that nobody may use, or closed and offered for use"
    )
    if outcome.error is not None and not reusable:
        return
    compare_with_h11(case, delivered, outcome, reusable, whole=ended_by == "eof")
    if reusable:
        second = asyncio.create_task(run_exchange(connection, FuzzCase(False, False, 0, 0, b"")))
        await turn_loop()
        transport.deliver(NEXT)
        await turn_loop()
        assert second.result() == Outcome(200, b"the next one"), "bytes of another exchange"


def compare_with_h11(case: FuzzCase, delivered: bytes, outcome: Outcome, reusable: bool, *, whole: bool) -> None:
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    request = h11.Request(method=b"HEAD" if case.is_head_request else b"GET", target=b"/", headers=[(b"host", b"a")])
    client.send(request)
    client.send(h11.EndOfMessage())
    client.receive_data(delivered)
    if whole:
        client.receive_data(b"")
    status, body = 0, bytearray()
    while True:
        event = client.next_event()
        match event:
            case h11.InformationalResponse():
                continue
            case h11.Response():
                status = event.status_code
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                break
            case _:
                raise AssertionError(f"a response was accepted where h11 reads {event!r}")
    assert outcome.error is not None or (outcome.status, outcome.body) == (status, bytes(body))
    if reusable:
        assert client.trailing_data == (b"", False), "h11 sees more bytes after the response"
        assert client.our_state is client.their_state is h11.DONE, "h11 would not use the connection again"


class Fuzzer:
    """Runs inputs in one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run_input(self, octets: bytes) -> None:
        """Check one input. Raises `AssertionError` or any other exception if the invariants do not hold."""
        self._loop.run_until_complete(check_case(FuzzCase.parse(octets)))

    def close(self) -> None:
        self._loop.close()


def main() -> None:
    """Fuzz with atheris until stopped, starting from the responses of other tests. Arguments are those of libFuzzer."""
    import atheris

    from tests.upstream.test_fuzz import SEEDS

    for kind in (ResponseParser, Connection):
        for name, function in vars(kind).items():
            if inspect.isfunction(function):
                setattr(kind, name, atheris.instrument_func(function))
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(bytes((number % 12, number % 5)) + seed)
        atheris.Setup([*sys.argv, corpus], Fuzzer().run_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
