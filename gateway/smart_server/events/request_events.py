"""The events of one request: a refusal is exactly one of them, wherever in the endpoint it came about.

What a request is refused for is known in one place, who sent it in another. Each notes what it knows. The one event
is sent when the response is known, by `recorded` of `error_responses.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import msgspec

from gateway.telemetry.server_event import MAX_CLAIM_LENGTH, REFUSALS, EventKind, ServerEvent

_REASONS = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "not_permitted",
    404: "not_found",
    409: "conflict",
    421: "wrong_host",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal_error",
    503: "temporarily_unavailable",
}
"""The reasons of refusals for which none was noted, by their status."""


@dataclass(slots=True)
class RequestFacts:
    """What is known of a request and its response. `status` is None as long as there is no response.

    `administrator` is the name of who sent it, where that was proven at the admin port.
    """

    remote_address: str
    administrator: str | None = None
    claims: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    refusal: ServerEvent | None = None
    status: int | None = None
    is_over: bool = False


_current: ContextVar[RequestFacts | None] = ContextVar("request_events", default=None)


def note_claims(
    *,
    client_id: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    typed_user: str | None = None,
) -> None:
    """Note what the request says of itself, for the event of its refusal. What is said last holds."""
    exchange = _current.get()
    if exchange is not None:
        claims = {"client_id": client_id, "issuer": issuer, "audience": audience, "typed_user": typed_user}
        exchange.claims |= {name: value[:MAX_CLAIM_LENGTH] for name, value in claims.items() if value}


def note_refusal(reason: str) -> None:
    """Note that the response refuses the request, and why. The first reason holds."""
    exchange = _current.get()
    if exchange is not None and exchange.reason is None:
        exchange.reason = reason


def note_administrator(name: str) -> None:
    """Note who sent the request: every event of it names them."""
    exchange = _current.get()
    if exchange is not None:
        exchange.administrator = name


class RequestEvents:
    """Takes the events of the SMART server, and passes them on to telemetry."""

    def __init__(self, on_event: Callable[[ServerEvent], None], clock: Callable[[], float]) -> None:
        """`clock` returns seconds since the epoch."""
        self._on_event = on_event
        self._clock = clock

    def add(self, event: ServerEvent) -> None:
        """Take an event. A refusal waits for the end of its request, of which the first one holds."""
        exchange = _current.get()
        if exchange is None or exchange.is_over:
            self._on_event(event)
            return
        if event.remote_address is None:
            event = msgspec.structs.replace(event, remote_address=exchange.remote_address)
        if event.administrator is None and exchange.administrator is not None:
            event = msgspec.structs.replace(event, administrator=exchange.administrator)
        if event.kind not in REFUSALS:
            self._on_event(event)
        elif exchange.refusal is None:
            exchange.refusal = event

    @contextmanager
    def of_request(self, refusal: EventKind, remote_address: str) -> Iterator[RequestFacts]:
        """The context in which a request is handled. `refusal` is the kind of its refusal where none was added."""
        exchange = RequestFacts(remote_address)
        token = _current.set(exchange)
        try:
            yield exchange
        except Exception:
            exchange.status = 500
            raise
        finally:
            _current.reset(token)
            exchange.is_over = True
            self._send_refusal(refusal, exchange)

    def _send_refusal(self, kind: EventKind, exchange: RequestFacts) -> None:
        event, status = exchange.refusal, exchange.status or 0
        if event is None:
            if exchange.reason is None and status < 400:
                return
            reason = exchange.reason or _REASONS.get(status, f"status_{status}")
            event = ServerEvent(
                kind=kind,
                at=self._clock(),
                reason=reason,
                remote_address=exchange.remote_address,
                administrator=exchange.administrator,
            )
        unsaid = {name: value for name, value in exchange.claims.items() if getattr(event, name) is None}
        self._on_event(msgspec.structs.replace(event, **unsaid))
