"""The pool of connections to one FHIR server: limited in number, kept alive, with a queue for waiting requests."""

import asyncio
import contextlib
import ssl

from gateway.upstream.caller import OWN, ClientKey
from gateway.upstream.connection import Connection, Deadlines
from gateway.upstream.connection_slots import CLOSED_MESSAGE, ConnectionSlots
from gateway.upstream.exchange_types import Headers, Request, Unreachable, UpstreamError, UpstreamTimeout
from gateway.upstream.request_content import send_content
from gateway.upstream.request_head import RequestHeadWriter
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.server_address import ServerAddress

# RFC 9110 section 9.2.2 would let PUT and DELETE be repeated too. A FHIR update sent twice makes two versions, so no.
_REPEATABLE = frozenset((b"GET", b"HEAD"))


class ConnectionPool:
    """An `Exchange` over at most `connections` HTTP/1.1 connections to the server of `base_url`.

    A request needs a slot. With a slot, it uses the idle connection that was used last, or a new one. Without a free
    slot, or while its client holds `per_client` of them, it waits in a fair queue of at most `queue` requests for at
    most `queue_timeout` (`ConnectionSlots`). Timeouts are in seconds: `connect_timeout` includes name resolution and
    the TLS handshake, `read_timeout` is the longest silence, `total_timeout` lasts from writing the request to the end
    of the body, `stream_timeout` replaces it when a body is streamed, and `idle_timeout` is how long an unused
    connection is kept.

    The target of a request is the full path. It begins with `base_path`, the path of `base_url`. `Host` is always the
    host of `base_url`, because servers build links from it. The caller is responsible for content codings: it sends
    `accept-encoding: identity` and refuses a response with a coding. A body that ends only with the connection may be
    truncated; the caller can detect that only by the syntax of the body.
    """

    def __init__(  # noqa: PLR0913  # each is a limit that an operator sets
        self,
        base_url: str,
        *,
        connections: int = 32,
        per_client: int | None = None,
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
        self._slots = ConnectionSlots(connections, queue, queue_timeout, per_client)
        self._address = address = ServerAddress.parse(base_url)
        if ssl_context is not None and not address.tls:
            raise ValueError(
                f"The upstream address {base_url!r} is not https, so that a TLS context would be of no use."
            )
        self.base_path = address.base_path
        self._ssl = (ssl_context or ssl.create_default_context()) if address.tls else None
        self._heads = RequestHeadWriter(address.host_field, constant_headers)
        self._deadlines = Deadlines(read=read_timeout, total=total_timeout, stream=stream_timeout)
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._all_closed: asyncio.Future[None] | None = None
        self.opened_total = 0

    @property
    def in_use(self) -> int:
        """The number of slots in use: requests in progress, including those whose connection is being opened."""
        return self._slots.total - self._slots.free

    @property
    def limit(self) -> int:
        """How many connections may be open at once."""
        return self._slots.total

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return self._slots.waiting

    async def send(self, request: Request) -> UpstreamResponse:
        """Send a request, and return when the head of the response has arrived.

        A GET or HEAD is sent again on a new connection if a reused connection was closed before the first byte of a
        response. Nothing else is ever repeated. Raises `ValueError` for a request that cannot be sent, and
        `PoolExhausted`, `CallerGone`, `Unreachable`, `UpstreamTimeout` or `MalformedResponse`.
        """
        head = self._heads.write(request)
        caller = request.caller
        client = OWN if caller is None else caller.client
        if not self._slots.take(client):
            await self._slots.acquire(client, None if caller is None else caller.waits)
        connection = self._take_idle()
        is_reused = connection is not None
        if connection is None:
            connection = await self._connect(client)
        connection.client = client
        response = connection.start(head, request.body, is_head_request=request.method == b"HEAD")
        if request.content is not None:
            await send_content(connection, response, request.content)
        if response.waiter is not None:
            await _wait_for_head(response)
        error = response.error
        if error is None:
            return response
        if (
            not is_reused
            or connection.has_received
            or type(error) is not Unreachable
            or request.method not in _REPEATABLE
        ):
            raise error
        return await self._resend(head, request, client)

    async def _resend(self, head: bytes, request: Request, client: ClientKey) -> UpstreamResponse:
        await self._slots.acquire(client)
        if self._idle:
            # A slot stands for one open connection. The idle one that was used longest ago is probably closed, too.
            self._idle.pop(0).close()
        connection = await self._connect(client)
        connection.client = client
        response = connection.start(head, request.body, is_head_request=request.method == b"HEAD")
        await _wait_for_head(response)
        if response.error is not None:
            raise response.error
        return response

    async def aclose(self, grace: float = 5.0) -> None:
        """Refuse new and queued requests, wait `grace` seconds for those in progress, then close every connection."""
        self._slots.close()
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
            self._expiry_timer = None
        for connection in self._idle:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._slots.wait_until_free()
        for connection in list(self._open):
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                if self._open:
                    self._all_closed = asyncio.get_running_loop().create_future()
                    await self._all_closed

    # Called by a connection (`ConnectionOwner`).

    def exchange_ended(self, connection: Connection, reusable: bool) -> None:
        """Keep the connection if it is reusable, and release the slot to the next request in the queue."""
        if reusable and not self._slots.closed:
            self._idle.append(connection)
            if self._expiry_timer is None:
                self._expiry_timer = asyncio.get_running_loop().call_later(self._idle_timeout, self._close_expired)
        elif reusable:
            connection.close()
        self._slots.release(connection.client)

    def connection_closed(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._all_closed is not None and not self._all_closed.done() and not self._open:
            self._all_closed.set_result(None)

    # Connections.

    def _take_idle(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return None

    async def _connect(self, client: ClientKey) -> Connection:
        """Open a new connection. On failure, release the slot of the client."""
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
            if self._slots.closed:
                raise Unreachable(CLOSED_MESSAGE)
            if not connection.is_usable():
                raise Unreachable("The FHIR server closed a new connection at once.")
        except BaseException as error:
            connection.close()
            self._open.discard(connection)
            self._slots.release(client)
            upstream_error = self._as_upstream_error(error)
            if upstream_error is None:
                raise
            raise upstream_error from error
        self.opened_total += 1
        return connection

    def _as_upstream_error(self, error: BaseException) -> UpstreamError | None:
        where = self._address.host_field.decode()
        match error:
            case TimeoutError():
                return UpstreamTimeout(f"No connection to {where} within {self._connect_timeout:g} seconds.")
            case OSError() | UnicodeError():
                return Unreachable(f"No connection to {where}: {error}.")
        return None

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        self._expiry_timer = None
        idle, oldest = self._idle, loop.time() - self._idle_timeout
        while idle and idle[0].last_read_at <= oldest:
            idle.pop(0).close()
        if idle:
            self._expiry_timer = loop.call_at(idle[0].last_read_at + self._idle_timeout, self._close_expired)


async def _wait_for_head(response: UpstreamResponse) -> None:
    """Wait until the head has arrived or the exchange has failed. If the caller is cancelled, discard the response."""
    waiter = response.waiter
    if waiter is None:
        return
    try:
        await waiter
    except asyncio.CancelledError:
        response.discard()
        raise
