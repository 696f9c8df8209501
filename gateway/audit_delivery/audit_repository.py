"""The sink that is a FHIR server, such as an audit record repository: records are stored under ids that are made here.

A record that comes twice is stored once, because it has the same id: `PUT AuditEvent/[id]` creates or replaces it.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.audit_delivery.sink import SinkUnavailable
from gateway.telemetry.audit_events.unsealed_event import EVENT_START
from gateway.upstream.exchange_types import Exchange, Headers, Request, UpstreamError

_MAX_ANSWER = 16 * 1024 * 1024
_HEADERS: Headers = ((b"accept", b"application/fhir+json"), (b"content-type", b"application/fhir+json"))
# What a server answers to a batch that it does not take as such: then each record is sent by itself.
_NO_BATCH = frozenset({400, 404, 405, 413, 415, 422, 501})
# What concerns the record itself, so that the same record is refused again whenever it comes.
_NEVER = frozenset({400, 410, 412, 413, 422})


class RepositoryError(Exception):
    """The server does not answer a search. The message says why, without any content."""


class AuditRepository:
    """`base_path` is the path of the server's base URL. `batch` is how many records a request has."""

    name = "server"

    def __init__(self, exchange: Exchange, base_path: bytes, batch: int) -> None:
        self._exchange = exchange
        self._base_path = base_path
        self.max_lines = batch

    async def write(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Store records. Returns those that the server never accepts. Raises `SinkUnavailable`."""
        if len(lines) == 1:
            return await self._store_each(lines)
        status, answer = await self._send(b"POST", self._base_path or b"/", _batch(lines))
        if status in _NO_BATCH:
            return await self._store_each(lines)
        _require_success(status)
        statuses = _entry_statuses(answer)
        if len(statuses) != len(lines):
            raise SinkUnavailable("the answer to a batch has not as many entries as the batch")
        return self._rejected(zip(lines, statuses, strict=True))

    async def search(self, query: str) -> AsyncIterator[Any]:
        """The AuditEvents that a search finds, page after page. Raises `RepositoryError`."""
        target: bytes | None = self._base_path + b"/AuditEvent?" + query.encode("ascii")
        while target is not None:
            try:
                status, answer = await self._send(b"GET", target, b"")
            except SinkUnavailable as error:
                raise RepositoryError(str(error)) from error
            if status != 200:
                raise RepositoryError(f"it answers a search with {status}")
            page = _parse(answer)
            for entry in page.get("entry") or []:
                yield entry.get("resource")
            target = self._next_target(page)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._exchange.aclose()

    async def _store_each(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        answers = []
        for line in lines:
            target = b"%b/AuditEvent/%b" % (self._base_path, _id(line))
            status, _ = await self._send(b"PUT", target, line)
            answers.append((line, status))
        return self._rejected(answers)

    @staticmethod
    def _rejected(answers: Any) -> list[bytes]:
        rejected = []
        for line, status in answers:
            if status in _NEVER:
                rejected.append(line)
            else:
                _require_success(status)
        return rejected

    async def _send(self, method: bytes, target: bytes, body: bytes) -> tuple[int, bytes]:
        try:
            response = await self._exchange.send(Request(method, target, _HEADERS, body))
            return response.status, await response.read(_MAX_ANSWER)
        except UpstreamError as error:
            raise SinkUnavailable(f"the server cannot be asked: {type(error).__name__}") from error

    def _next_target(self, page: Any) -> bytes | None:
        """The next page, by path and query alone: nothing is sent to another host."""
        for link in page.get("link") or []:
            if link.get("relation") == "next":
                url = urlsplit(link["url"])
                return f"{url.path}{'?' if url.query else ''}{url.query}".encode("ascii")
        return None


def _batch(lines: Sequence[bytes]) -> bytes:
    entries = b",".join(
        b'{"resource":%b,"request":{"method":"PUT","url":"AuditEvent/%b"}}' % (line, _id(line)) for line in lines
    )
    return b'{"resourceType":"Bundle","type":"batch","entry":[%b]}' % entries


def _id(line: bytes) -> bytes:
    return line.removeprefix(EVENT_START).partition(b'"')[0]


def _parse(answer: bytes) -> Any:
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise RepositoryError("its answer is no JSON")
    return parsed


def _entry_statuses(answer: bytes) -> list[int]:
    """The statuses of the entries of a batch-response; 0 for one that cannot be read."""
    try:
        entries = _parse(answer).get("entry") or []
    except RepositoryError as error:
        raise SinkUnavailable(str(error)) from error
    texts = [str((entry.get("response") or {}).get("status", "")).partition(" ")[0] for entry in entries]
    return [int(text) if text.isdecimal() else 0 for text in texts]


def _require_success(status: int) -> None:
    if not 200 <= status < 300:
        raise SinkUnavailable(f"the server answers {status}" if status else "the server does not say how it ended")
