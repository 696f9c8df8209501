"""The connections to one FHIR server: bounded, kept alive, the last used first; who finds none free waits his turn."""

import asyncio
import contextlib
import ssl

from .addresses import Address
from .answer import Answer
from .connection import Connection, Deadlines
from .exchange import Headers, Request, TimedOut, Unreachable, UpstreamError
from .outgoing import RequestHeads
from .places import CLOSED, Places

# RFC 9110 section 9.2.2 would let PUT and DELETE be repeated too. A FHIR update sent twice makes two versions, so no.
_REPEATABLE = frozenset((b"GET", b"HEAD"))


class ConnectionPool:
    """An `Exchange` over at most `connections` HTTP/1.1 connections to the server of `base_url`.

    A request needs a place. With a free place goes the connection used last, or a new one; without, the request waits
    in a queue of at most `queue`, first come first served, for at most `queue_timeout`. Timeouts are in seconds:
    `connect_timeout` covers name resolution and the TLS handshake, `read_timeout` is the longest silence,
    `total_timeout` runs from the writing of the request to the end of the body, `stream_timeout` replaces it once a
    body is streamed, `idle_timeout` is how long an unused connection is kept.

    The target of a request is the full path; `base_path` is the part of it that `base_url` gives. `Host` is always the
    host of `base_url`: servers build links from it. Content codings are the caller's matter: it asks for
    `accept-encoding: identity` and refuses an answer that has a coding all the same. A body that only the closing of
    the connection ends may have been cut short by whoever can break connections; only its own syntax can tell.
    """

    def __init__(  # noqa: PLR0913  # each is a limit that an operator sets
        self,
        base_url: str,
        *,
        connections: int = 32,
        queue: int = 256,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        total_timeout: float = 60.0,
        stream_timeout: float = 3600.0,
        queue_timeout: float = 5.0,
        idle_timeout: float = 15.0,
        ssl_context: ssl.SSLContext | None = None,
        constant_headers: Headers = (),
    ) -> None:
        self._places = Places(connections, queue, queue_timeout)
        self._address = address = Address.parse(base_url)
        if ssl_context is not None and not address.tls:
            raise ValueError(
                f"The upstream address {base_url!r} is not https, so that a TLS context would be of no use."
            )
        self.base_path = address.base_path
        self._ssl = (ssl_context or ssl.create_default_context()) if address.tls else None
        self._heads = RequestHeads(address.host_field, constant_headers)
        self._deadlines = Deadlines(read=read_timeout, total=total_timeout, stream=stream_timeout)
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._none_open: asyncio.Future[None] | None = None
        self.opened_total = 0

    @property
    def in_use(self) -> int:
        """Places taken: requests under way, and connections being opened for them."""
        return self._places.total - self._places.free

    @property
    def idle(self) -> int:
        """Connections kept for the next request."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._places.waiting

    async def send(self, request: Request) -> Answer:
        """Send, and return when the head of the answer is there.

        A GET or HEAD is sent a second time, on a new connection, when a reused connection was lost before a byte of an
        answer; nothing else is ever repeated. Raises `ValueError` for a request that cannot be sent, and
        `PoolExhausted`, `Unreachable`, `TimedOut` or `Malformed`.
        """
        head = self._heads.write(request)
        places = self._places
        if places.free and not places.closed:
            places.free -= 1
        else:
            await places.take()
        connection = self._reuse()
        reused = connection is not None
        if connection is None:
            connection = await self._connect()
        answer = connection.start(head, request.body, to_head=request.method == b"HEAD")
        await _arrival(answer)
        error = answer.error
        if error is None:
            return answer
        if not reused or connection.answered or type(error) is not Unreachable or request.method not in _REPEATABLE:
            raise error
        return await self._send_anew(head, request)

    async def _send_anew(self, head: bytes, request: Request) -> Answer:
        await self._places.take()
        if self._idle:
            # A place stands for one open connection, and this one is about to have a second; the oldest is stale too.
            self._idle.pop(0).close()
        connection = await self._connect()
        answer = connection.start(head, request.body, to_head=request.method == b"HEAD")
        await _arrival(answer)
        if answer.error is not None:
            raise answer.error
        return answer

    async def aclose(self, grace: float = 5.0) -> None:
        """Refuse new and queued requests, give those under way `grace` seconds, then close every connection."""
        self._places.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in self._idle:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._places.all_free()
        for connection in list(self._open):
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                if self._open:
                    self._none_open = asyncio.get_running_loop().create_future()
                    await self._none_open

    # What a connection tells (`Owner`).

    def ended(self, connection: Connection, reusable: bool) -> None:
        """An exchange is over: keep the connection if it may be used again; the place goes to the next in the queue."""
        if reusable and not self._places.closed:
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = asyncio.get_running_loop().call_later(self._idle_timeout, self._sweep)
        elif reusable:
            connection.close()
        self._places.give_back()

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._none_open is not None and not self._none_open.done() and not self._open:
            self._none_open.set_result(None)

    # Connections.

    def _reuse(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        """A new connection. On failure the caller's place is given back."""
        loop = asyncio.get_running_loop()
        address = self._address
        connection = Connection(self, self._deadlines, loop)
        self._open.add(connection)
        try:
            async with asyncio.timeout(self._connect_timeout):
                if self._ssl is None:
                    await loop.create_connection(lambda: connection, address.host, address.port)
                else:
                    await loop.create_connection(
                        lambda: connection,
                        address.host,
                        address.port,
                        ssl=self._ssl,
                        server_hostname=address.host,
                        ssl_shutdown_timeout=1.0,
                    )
            if self._places.closed:
                raise Unreachable(CLOSED)
            if not connection.usable():
                raise Unreachable("The FHIR server closed a new connection at once.")
        except BaseException as error:
            connection.close()
            self._open.discard(connection)
            self._places.give_back()
            known = self._connect_error(error)
            if known is None:
                raise
            raise known from error
        self.opened_total += 1
        return connection

    def _connect_error(self, error: BaseException) -> UpstreamError | None:
        where = self._address.host_field.decode()
        match error:
            case TimeoutError():
                return TimedOut(f"No connection to {where} within {self._connect_timeout:g} seconds.")
            case OSError() | UnicodeError():
                return Unreachable(f"No connection to {where}: {error}.")
        return None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = None
        idle, oldest = self._idle, loop.time() - self._idle_timeout
        while idle and idle[0].heard_at <= oldest:
            idle.pop(0).close()
        if idle:
            self._sweeper = loop.call_at(idle[0].heard_at + self._idle_timeout, self._sweep)


async def _arrival(answer: Answer) -> None:
    """Until the head is there or the exchange has failed. A caller that is cancelled meanwhile gives the answer up."""
    waiter = answer.waiter
    assert waiter is not None
    try:
        await waiter
    except asyncio.CancelledError:
        answer.give_up()
        raise
