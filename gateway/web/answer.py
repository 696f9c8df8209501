"""What leaves the gateway: one value per answer, and the few ASGI messages that carry it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.fhir.operation_outcome import encode_outcome, operation_outcome
from gateway.policy.decision import Deny
from gateway.policy.reasons import ANSWERS, Reason
from gateway.upstream.exchange import UpstreamError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

# An ASGI extension of our own server, and the message that it adds: `status`, `headers`, and `body` with all its bytes.
# The server counts the body; for HEAD and 304 it leaves it out.
WHOLE_ANSWER = "gateway.answer.whole"

_FHIR_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"application/fhir+json;charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    # A browser must not answer the next user's request with what it kept of this one's (RFC 9111 4.2.2).
    (b"cache-control", b"no-store"),
)


_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Streamed:
    """A body that is passed on piece by piece; `close` gives up whatever of it is still to come."""

    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class Answer(msgspec.Struct, gc=False):
    """An answer, and what telemetry says of it."""

    status: int
    reason: Reason
    body: bytes | Streamed
    headers: list[Header] = []
    kept: int = 0
    dropped: Mapping[str, int] = _NONE
    misses: Mapping[str, int] = _NONE


class Refused(Exception):
    """Ends the way of a request with a refusal; its value says why."""

    def __init__(
        self, reason: Reason, offender: str = "", *, scope: str = "", hint: str = "", told: Reason | None = None
    ) -> None:
        """`told` is what the client is told, where that must be less than the reason that our own log has."""
        super().__init__(reason.value)
        self.deny = Deny(reason, offender, scope)
        self.hint = hint
        self.told = told
        self.headers: list[Header] = []

    @classmethod
    def because(cls, deny: Deny) -> "Refused":
        """The refusal of a decision."""
        return cls(deny.reason, deny.offender, scope=deny.scope)


def fhir_answer(body: bytes, *, headers: tuple[Header, ...] = ()) -> Answer:
    """A permitted answer in FHIR JSON."""
    return Answer(200, Reason.PERMITTED, body, [*_FHIR_HEADERS, *headers])


def refusal(refused: Refused, *, realm: str) -> Answer:
    """The answer to a refusal: its status, an OperationOutcome, and the challenge RFC 6750 3 asks for.

    Not found and out of reach are one answer, byte for byte (leak_30); the audit line knows which it was.
    """
    reason = refused.deny.reason
    told = refused.told or reason
    answer = ANSWERS[told]
    if answer == ANSWERS[Reason.NOT_FOUND]:
        told = Reason.NOT_FOUND
    offender = "" if told is Reason.NOT_FOUND else refused.deny.offender
    sentence = f"{answer.sentence} {refused.hint}".strip()
    outcome = operation_outcome(code=answer.issue_code, reason=told, sentence=sentence, expression=offender)
    headers = [*_FHIR_HEADERS, *refused.headers]
    challenge = _challenge(told, answer.status, refused.deny.scope, realm)
    if challenge:
        headers.append((b"www-authenticate", challenge.encode("ascii", "replace")))
    if answer.status == 503:
        headers.append((b"retry-after", b"5"))
    return Answer(answer.status, reason, encode_outcome(outcome), headers)


def _challenge(reason: Reason, status: int, scope: str, realm: str) -> str | None:
    if reason is Reason.TOKEN_MISSING:
        return f'Bearer realm="{realm}"'
    if status == 401:
        return f'Bearer realm="{realm}", error="invalid_token"'
    if reason is Reason.SCOPE_INSUFFICIENT:
        asked = f', scope="{scope}"' if scope else ""
        return f'Bearer realm="{realm}", error="insufficient_scope"{asked}'
    return None


def send_answer(send: Send, answer: Answer, *, head: bool, whole: bool = False) -> Awaitable[None]:
    """Write the answer; for HEAD its headers alone. `whole` says that the server knows `WHOLE_ANSWER`."""
    body = answer.body
    if not isinstance(body, bytes):
        return _stream(send, answer, body, head=head)
    if whole:
        return send({"type": WHOLE_ANSWER, "status": answer.status, "headers": answer.headers, "body": body})
    return _send_in_parts(send, answer, body, head=head)


async def _send_in_parts(send: Send, answer: Answer, body: bytes, *, head: bool) -> None:
    headers = answer.headers
    if answer.status == 304:
        body = b""
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def _stream(send: Send, answer: Answer, body: Streamed, *, head: bool) -> None:
    """Pass the body on. One that breaks off upstream breaks off here too: the server then closes the connection."""
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if not head:
            async for piece in body.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except UpstreamError:
        return
    finally:
        await body.close()
