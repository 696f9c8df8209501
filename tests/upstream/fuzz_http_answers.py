"""Whatever bytes come back, in whatever pieces: an exchange ends with one response or one UpstreamError, never hangs,
never yields bytes of another exchange, and a connection that saw anything odd is never used again.

Run it for long with `python -m tests.upstream.fuzz_http_answers`; `test_fuzz.py` runs the same for some seconds.

The oracle is h11, which shares no line with llhttp: a response that we hand out must be the one that h11 reads from the
same bytes, and a connection that we would use again must have ended, for h11 too, exactly at the last byte.
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
from gateway.upstream.exchange import UpstreamError
from gateway.upstream.reading import AnswerReader

LIMIT = 1 << 16
NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nthe next one"


class Wire(asyncio.Transport):
    """A transport in memory: delivers nothing while it is paused, and nothing after it was closed."""

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
        """The other side is gone."""
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


class Time:
    """Stands for the loop where the connection asks for the time or for a timer, so that a silence costs no waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = []

    def create_future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), self._loop)
        self._due.append((when, callback, handle))
        return handle

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due, self._due = self._due, []
        for when, callback, handle in due:
            if handle.cancelled():
                continue
            if when <= self.now:
                callback()
            else:
                self._due.append((when, callback, handle))


class Owner:
    """Counts what the connection tells."""

    def __init__(self) -> None:
        self.ends: list[bool] = []

    def ended(self, connection: Connection, reusable: bool) -> None:
        self.ends.append(reusable)

    def lost(self, connection: Connection) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an exchange ended: a status and a body, or an error."""

    status: int = 0
    body: bytes = b""
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What the server does. Two octets say how; the others are what it sends."""

    to_head: bool
    stream: bool
    ending: int
    step: int
    data: bytes

    @classmethod
    def read(cls, octets: bytes) -> "Case":
        how, step = (octets + b"\0\0")[:2]
        return cls(bool(how & 1), bool(how & 2), (how >> 2) % 3, step % 64, octets[2:])

    @property
    def pieces(self) -> list[bytes]:
        if self.step == 0:
            return [self.data] if self.data else []
        return [self.data[start : start + self.step] for start in range(0, len(self.data), self.step)]


async def exchange(connection: Connection, case: Case) -> Outcome:
    answer = connection.start(b"", b"", to_head=case.to_head)
    assert answer.waiter is not None
    try:
        await answer.waiter
        if answer.error is not None:
            raise answer.error
        if case.stream:
            body = b"".join([piece async for piece in answer.stream()])
        else:
            body = await answer.read(LIMIT)
    except UpstreamError as error:
        return Outcome(error=error)
    return Outcome(answer.status, body)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def run(case: Case) -> None:
    owner, clock = Owner(), Time(asyncio.get_running_loop())
    connection = Connection(owner, Deadlines(read=10.0, total=100.0, stream=100.0), clock)  # type: ignore[arg-type]
    wire = Wire(connection)
    connection.connection_made(wire)
    task = asyncio.create_task(exchange(connection, case))
    await settle()
    used = b""
    for piece in case.pieces:
        if owner.ends:
            break
        used += piece
        wire.deliver(piece)
        if case.step % 2:
            await settle()
    await settle()
    ended_by = "nothing" if owner.ends else ("eof", "reset", "silence")[case.ending]
    if ended_by == "eof":
        wire.end(None)
    elif ended_by == "reset":
        wire.end(ConnectionResetError())
    else:
        clock.pass_by(11.0)
        clock.pass_by(100.0)
    await settle()
    assert task.done(), "the exchange hangs"
    outcome = task.result()
    assert len(owner.ends) == 1, "the exchange ended more or less than once"
    reusable = owner.ends[0]
    assert reusable is not wire.is_closing(), "a connection is open that nobody may use, or closed and offered for use"
    if outcome.error is not None and not reusable:
        return
    compare(case, used, outcome, reusable, whole=ended_by == "eof")
    if reusable:
        second = asyncio.create_task(exchange(connection, Case(False, False, 0, 0, b"")))
        await settle()
        wire.deliver(NEXT)
        await settle()
        assert second.result() == Outcome(200, b"the next one"), "bytes of another exchange"


def compare(case: Case, used: bytes, outcome: Outcome, reusable: bool, *, whole: bool) -> None:
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    request = h11.Request(method=b"HEAD" if case.to_head else b"GET", target=b"/", headers=[(b"host", b"a")])
    client.send(request)
    client.send(h11.EndOfMessage())
    client.receive_data(used)
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
                raise AssertionError(f"we read an answer where h11 reads {event!r}")
    assert outcome.error is not None or (outcome.status, outcome.body) == (status, bytes(body))
    if reusable:
        assert client.trailing_data == (b"", False), "h11 sees more bytes after the answer"
        assert client.our_state is client.their_state is h11.DONE, "h11 would not use the connection again"


class Fuzzer:
    """Keeps one loop for all inputs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def one_input(self, octets: bytes) -> None:
        """Raises `AssertionError`, or whatever else goes wrong, when the invariant does not hold."""
        self._loop.run_until_complete(run(Case.read(octets)))

    def close(self) -> None:
        self._loop.close()


def main() -> None:
    """Search with atheris until stopped, starting from the answers of the other tests; arguments are libFuzzer's."""
    import atheris

    from tests.upstream.test_fuzz import SEEDS

    for kind in (AnswerReader, Connection):
        for name, function in vars(kind).items():
            if inspect.isfunction(function):
                setattr(kind, name, atheris.instrument_func(function))
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(bytes((number % 12, number % 5)) + seed)
        atheris.Setup([*sys.argv, corpus], Fuzzer().one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
