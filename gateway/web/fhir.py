"""The proxy from top to bottom: token, interaction, decision, upstream, judge, answer.

Read `FhirProxy._carry_out` first: one request, walked forward once.
"""

import itertools
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.fhir.address import address_of
from gateway.fhir.interaction import Capabilities, Interaction, Page
from gateway.fhir.request import RequestError, parse_request
from gateway.fhir.search_parameters import SearchType
from gateway.keys.refused import TokenRefused
from gateway.policy.access import Access
from gateway.policy.decision import Allow, Send
from gateway.policy.grant import Grant
from gateway.policy.reasons import Reason
from gateway.policy.sealed_page import Sealer
from gateway.web.answer import WHOLE_ANSWER, Answer, Receive, Refused, Scope, refusal, send_answer
from gateway.web.answer import Send as AsgiSend
from gateway.web.bearer import BearerResolver
from gateway.web.connection import CONNECTION, ConnectionMemory
from gateway.web.cors import ANY_ORIGIN, Cors
from gateway.web.grants import Grants
from gateway.web.keep import Keeper
from gateway.web.reading import Asked
from gateway.web.trace import Trace
from gateway.web.witness import Record, Witness

_REQUEST_ID = re.compile(rb"[A-Za-z0-9\-._]{1,64}")
_METADATA_PATH = b"/metadata"
_Key = tuple[int, bytes, bytes, bytes]


# Headers that change what a request asks, or how it is read. Without them the same path, query and Accept ask the same.
_SHAPING = frozenset(
    {
        b"content-length",
        b"content-type",
        b"if-modified-since",
        b"if-none-exist",
        b"if-none-match",
        b"transfer-encoding",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
    }
)
_REMEMBERED_DECISIONS = 4096
_NO_EXTENSIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parts:
    """What the proxy is put together from. `body_limit` is in bytes."""

    resolver: BearerResolver
    grants: Grants
    keeper: Keeper
    sealer: Sealer
    cors: Cors
    witness: Witness
    realm: str
    body_limit: int
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)


class Incoming(msgspec.Struct, gc=False):
    """A request as it came: `path` is the raw path below the base, header fields are joined by name."""

    method: str
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive

    @property
    def accept(self) -> bytes:
        """The client's Accept header."""
        return self.headers.get(b"accept", b"*/*")

    def is_plain(self) -> bool:
        """Whether method, path, query and Accept say all there is to say."""
        return self.method in {"GET", "HEAD"} and self.headers.keys().isdisjoint(_SHAPING)


class FhirProxy:
    """A plain ASGI callable below the FHIR base: no middleware, no framework objects (performance.md rule 3)."""

    def __init__(self, base_path: str, parts: Parts) -> None:
        """`base_path` is the path of the public base, without trailing slash."""
        self._base_length = len(base_path)
        self._parts = parts
        # Unguessable across processes, countable within one: an id for every decision at the cost of a counter.
        self._process = secrets.token_hex(6)
        self._counter = itertools.count(1)
        self._decisions: OrderedDict[_Key, tuple[Asked, Allow]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One request."""
        method, headers = scope["method"], _joined(scope["headers"])
        decision_id = f"{self._process}-{next(self._counter):x}"
        record = Record(
            method,
            decision_id,
            started_at=time.perf_counter(),
            trace=Trace(_request_id(headers.get(b"x-request-id"), decision_id)),
            remote=scope["client"][0] if scope["client"] else None,
        )
        incoming = Incoming(method, scope["raw_path"][self._base_length :], scope["query_string"], headers, receive)
        extensions = scope.get("extensions", _NO_EXTENSIONS)
        try:
            if method == "OPTIONS":
                answer = Answer(204, Reason.PERMITTED, b"")
            else:
                connection = extensions.get(CONNECTION) or ConnectionMemory()
                answer = await self._carry_out(incoming, connection, record)
        except Refused as refused:
            answer = refusal(refused, realm=self._parts.realm)
        except Exception:
            self._parts.witness.fault(record)
            answer = refusal(Refused(Reason.INTERNAL_ERROR), realm=self._parts.realm)
        self._add_headers(answer, incoming, record)
        record.answer = answer
        try:
            await send_answer(send, answer, head=method == "HEAD", whole=WHOLE_ANSWER in extensions)
        finally:
            record.ended_at = time.perf_counter()
            self._parts.witness.see(record)

    async def _carry_out(self, incoming: Incoming, connection: ConnectionMemory, record: Record) -> Answer:
        now = time.time()
        if incoming.path == _METADATA_PATH:
            return await self._metadata(incoming, record, now)
        authorization = incoming.headers.get(b"authorization")
        known = self._parts.resolver.resolve_cached(authorization, connection, now)
        record.token_cached = known is not None
        if known is None:
            known = await self._resolved(authorization, now)
        if isinstance(known, TokenRefused):
            # A new exception: one that is remembered and raised again would grow by a traceback each time.
            raise Refused(known.reason)
        access = record.access = known
        grant = self._parts.grants.of(access)
        allow, asked = self._remembered(incoming, access, grant, record, now) or await self._decided(
            incoming, access, grant, record, now
        )
        record.interaction = asked.interaction
        return await self._parts.keeper.answer(allow, asked)

    async def _resolved(self, authorization: bytes | None, now: float) -> Access | TokenRefused:
        try:
            return await self._parts.resolver.resolve(authorization, now)
        except TokenRefused as refused:
            return refused

    def _remembered(
        self, incoming: Incoming, access: Access, grant: Grant, record: Record, now: float
    ) -> tuple[Allow, Asked] | None:
        """The decision on the very same question, if it is known: apps ask it again and again.

        Parsing and deciding are pure functions of what stands in the key, so the answer is the same. The remembered
        request holds the grant, so that its id cannot be given to another one.
        """
        known = self._decisions.get((id(grant), incoming.path, incoming.query, incoming.accept))
        if known is None or not incoming.is_plain():
            return None
        asked, allow = known
        return allow, Asked(asked.interaction, asked.address, grant, access, record.trace, now, incoming.accept)

    async def _decided(
        self, incoming: Incoming, access: Access, grant: Grant, record: Record, now: float
    ) -> tuple[Allow, Asked]:
        interaction = record.interaction = await self._interaction(incoming)
        if isinstance(interaction, Page):
            return await self._turned(interaction, incoming, access, grant, record, now)
        allow, asked = await self._decide(interaction, incoming.accept, access, grant, record, now)
        if asked.grant is grant and incoming.is_plain():
            key = (id(grant), incoming.path, incoming.query, incoming.accept)
            self._decisions[key] = (asked, allow)
            if len(self._decisions) > _REMEMBERED_DECISIONS:
                self._decisions.popitem(last=False)
        return allow, asked

    async def _turned(
        self, page: Page, incoming: Incoming, access: Access, grant: Grant, record: Record, now: float
    ) -> tuple[Allow, Asked]:
        """A page of an earlier answer: the earlier question is decided again, and asked where the link says."""
        sealed = self._parts.sealer.open(page.sealed, access, now)
        if sealed is None:
            raise Refused(Reason.PAGE_UNKNOWN)
        interaction = parse("GET", sealed.path.encode(), sealed.query.encode(), {}, b"", self._parts.extra_parameters)
        allow, asked = await self._decide(interaction, incoming.accept, access, grant, record, now)
        target, _, query = sealed.target.partition("?")
        return replace(allow, send=Send(target, query), left_out=(), shown=sealed.shown), asked

    async def _interaction(self, incoming: Incoming) -> Interaction:
        body = b"" if incoming.is_plain() else await _body(incoming.receive, self._parts.body_limit)
        return parse(
            incoming.method, incoming.path, incoming.query, incoming.headers, body, self._parts.extra_parameters
        )

    async def _metadata(self, incoming: Incoming, record: Record, now: float) -> Answer:
        record.interaction = await self._interaction(incoming)
        if not isinstance(record.interaction, Capabilities):
            raise Refused(Reason.INTERACTION_NOT_SUPPORTED)
        return await self._parts.keeper.capabilities(record.trace, now)

    async def _decide(
        self, interaction: Interaction, accept: bytes, access: Access, grant: Grant, record: Record, now: float
    ) -> tuple[Allow, Asked]:
        allow, grant = await self._parts.grants.decide(interaction, access, grant, record.trace, now)
        address = address_of(interaction)
        return allow, Asked(interaction, address, grant, access, record.trace, now, accept)

    def _add_headers(self, answer: Answer, incoming: Incoming, record: Record) -> None:
        cors, origin = self._parts.cors, incoming.headers.get(b"origin")
        answer.headers.append((b"x-request-id", record.trace.request_id))
        answer.headers.append((b"x-decision-id", record.decision_id.encode()))
        public = incoming.path == _METADATA_PATH
        if incoming.method == "OPTIONS":
            answer.headers.extend(cors.preflight(origin, public=public))
        elif public:
            answer.headers.extend(ANY_ORIGIN)
        elif origin is not None:
            access = record.access
            # Whose origins they are is known of our own clients alone, not of those of another issuer.
            ours = access.client_id if access is not None and access.authorization_id is not None else None
            answer.headers.extend(cors.headers(origin, ours))


def parse(
    method: str,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    extra_parameters: Mapping[str, Mapping[str, SearchType]],
) -> Interaction:
    """The interaction of a request. Raises `Refused` where it has none."""
    try:
        return parse_request(method, path, query, headers, body, extra_parameters=extra_parameters)
    except RequestError as error:
        refused = Refused(Reason(error.problem.value), error.offender, hint=error.hint)
        if error.allow:
            refused.headers.append((b"allow", ", ".join(error.allow).encode()))
        raise refused from error


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Header fields by name; repeated ones joined by commas (RFC 9110 5.3), so that none is overlooked."""
    plain = dict(headers)
    if len(plain) == len(headers):
        return plain
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def _request_id(offered: bytes | None, own: str) -> bytes:
    if offered is not None and _REQUEST_ID.fullmatch(offered):
        return offered
    return own.encode()


async def _body(receive: Receive, limit: int) -> bytes:
    """The request's body. Raises `Refused` above `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Reason.QUERY_MALFORMED, hint="The connection was closed before the body ended.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Refused(Reason.REQUEST_TOO_LARGE)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
