"""uvicorn's HTTP/1.1 protocol with bounds on time: for a head, for a body, for a response that is not taken."""

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.response import FhirResponse
from gateway.asgi.types import PLACE
from gateway.commands.serving.client_connections.connections import ClientConnections, ConnectionBounds, Ended
from gateway.commands.serving.client_connections.response_cycle import WholeResponseCycle
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory

# Seconds. Longer than a request is on its way in a network.
_MAY_STILL_SEND = 0.5
# Bytes. A response that is not taken counts as one request for each of them.
_BYTES_OF_ONE = 1 << 20
_TOO_SLOW = refusal_response(RequestRefused(Reason.REQUEST_TOO_SLOW), realm="")
_ATTRIBUTE = "client_connections"


def connections_of(config: Any) -> ClientConnections:
    """The connections of the server with this configuration, which are counted together."""
    found: ClientConnections | None = getattr(config, _ATTRIBUTE, None)
    if found is None:
        found = ClientConnections(ConnectionBounds(idle=config.timeout_keep_alive))
        share_connections(config, found)
    return found


def share_connections(config: Any, connections: ClientConnections) -> None:
    """Let the server with this configuration count its connections there."""
    setattr(config, _ATTRIBUTE, connections)


class TimedHttpProtocol(HttpToolsProtocol):
    """A `ClientConnection`: what it notes here is looked at about once a second, together with all others.

    So the bounds cost a request nothing: it makes no timer, and notes a time only where something is missing.
    """

    # The request in progress, or the last one.
    cycle: WholeResponseCycle | None  # type: ignore[assignment]  # uvicorn's own is of any kind
    scheme: str  # type: ignore[assignment]  # set with the connection
    # When the client connected or got its last response; infinite while a request is in progress.
    _idle_since = math.inf
    _has_sent = False
    # Until when the rest of a head or of a body has to come; infinite while nothing is missing.
    _rest_due = math.inf
    _is_body_due = False
    # Until when the client has to take what is written; infinite while it is taken.
    _unsent_due = math.inf
    # How many bytes waited when that was noted.
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A client has connected."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self.memory = ConnectionMemory()
        self._unsent_places: list[Any] = []
        self.client_connections = connections_of(self.config)
        self.is_shared = self.client_connections.bounds.trusts(self.address)

    @property
    def address(self) -> str | None:
        """Where the client connects from."""
        return self.client[0] if self.client else None

    def refuse(self, status: int, refusal: FhirResponse) -> None:
        """Refuse what the client sends, and read no more."""
        raise NotImplementedError

    # What arrives.

    def expect_rest(self, size: int, *, is_body: bool) -> None:
        """So many bytes have arrived, and the head or the body is not complete."""
        bounds = self.client_connections.bounds
        if self._rest_due == math.inf or self._is_body_due is not is_body:
            self._is_body_due = is_body
            self._rest_due = self.loop.time() + (bounds.transfer if is_body else bounds.head)
        if is_body:
            self._rest_due += size / bounds.bytes_per_second

    # What leaves.

    def give_back_later(self, place: Any) -> None:
        """A request has ended. It stays in progress as long as the client does not take its response."""
        # Only later has the operating system taken what it takes.
        self.loop.call_soon(self._give_back, place)

    def _give_back(self, place: Any) -> None:
        in_progress, client = place
        if self.flow.write_paused:
            # So nobody fills the memory with responses that are not taken.
            more = self.transport.get_write_buffer_size() // _BYTES_OF_ONE
            in_progress.weigh(client, more)
            self._unsent_places.append((in_progress, client, 1 + more))
        else:
            in_progress.leave(client)

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        super().pause_writing()
        self._expect_reader()

    def _expect_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._unsent_due = self.loop.time() + self.client_connections.bounds.transfer

    def resume_writing(self) -> None:
        """The client has taken nearly all of it."""
        super().resume_writing()
        self._unsent_due = math.inf
        self._give_all_back()

    def _give_all_back(self) -> None:
        while self._unsent_places:
            in_progress, client, weight = self._unsent_places.pop()
            in_progress.leave(client, weight)

    def connection_lost(self, exc: Exception | None) -> None:
        """Either side has closed the connection."""
        super().connection_lost(exc)
        self.client_connections.discard(self)
        self.memory.waits.end()
        self._give_all_back()

    # uvicorn's `timeout_keep_alive` makes and cancels a timer for each request. It is not used.

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = math.inf
        self._has_sent = True

    def idle_since(self) -> float | None:
        """See `ClientConnection`."""
        is_idle = self.loop.time() - self._idle_since > _MAY_STILL_SEND and self._unsent_due == math.inf
        return self._idle_since if is_idle and not self.transport.is_closing() else None

    def close_idle(self) -> None:
        """See `ClientConnection`."""
        self.transport.close()

    # The looks.

    def look(self, now: float, interval: float) -> Ended | None:
        """See `ClientConnection`."""
        bounds = self.client_connections.bounds
        # What was written before the end of a connection has to be taken as well.
        if self._unsent_due != math.inf or self.transport.is_closing():
            return self._look_at_reader(now)
        if self._idle_since != math.inf:
            allowed = bounds.idle if self._has_sent else bounds.head
            if now - self._idle_since > allowed:
                self.transport.close()
        elif self._rest_due != math.inf:
            return self._look_at_rest(now, interval)
        return None

    def _look_at_rest(self, now: float, interval: float) -> Ended | None:
        cycle = self.cycle
        if cycle is not None and (self.flow.read_paused or cycle.waiting_for_100_continue):
            # It is the gateway that does not read.
            self._rest_due += interval
        if now <= self._rest_due:
            return None
        if cycle is not None and self._is_body_due:
            cycle.is_too_slow = True
            if cycle.response_complete:
                self.transport.close()
                return Ended.SLOW_BODY
        self.refuse(_TOO_SLOW.status, _TOO_SLOW)
        self._rest_due = math.inf
        return Ended.SLOW_BODY if self._is_body_due else Ended.SLOW_HEAD

    def _look_at_reader(self, now: float) -> Ended | None:
        """Again and again in the time of a transfer, the client has to take what it could take by its least rate."""
        bounds = self.client_connections.bounds
        if self._unsent_due == math.inf:
            self._expect_reader()
        elif now > self._unsent_due:
            if self._unsent - self.transport.get_write_buffer_size() < bounds.transfer * bounds.bytes_per_second:
                self.transport.abort()
                return Ended.SLOW_READER
            self._expect_reader()
        return None


async def run_cycle(cycle: WholeResponseCycle, app: Any, connection: TimedHttpProtocol) -> None:
    """Run the application for one request."""
    try:
        await cycle.run_asgi(app)
    finally:
        connection.tasks.discard(cycle.task)
        place: Any = cycle.scope.get(PLACE)
        if place is not None:
            if cycle.is_large:
                connection.give_back_later(place)
            else:
                place[0].leave(place[1])
