"""The proxy from top to bottom: token, interaction, decision, upstream, judge, answer.

Read `FhirProxy._carry_out` first: one request, walked forward once.
"""

import itertools
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.fhir.interaction import Capabilities, Interaction, Page
from gateway.fhir.request import RequestError, parse_request
from gateway.fhir.search_parameters import SearchType
from gateway.keys.refused import TokenRefused
from gateway.policy.access import Access
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, Deny, Need, Send
from gateway.policy.reasons import Reason
from gateway.policy.sealed_page import Sealer
from gateway.web.answer import Answer, Receive, Refused, Scope, refusal, send_answer
from gateway.web.answer import Send as AsgiSend
from gateway.web.bearer import BearerResolver
from gateway.web.cors import ANY_ORIGIN, Cors
from gateway.web.grants import Grants
from gateway.web.keep import Keeper
from gateway.web.reading import Asked
from gateway.web.witness import Record, Witness

_REQUEST_ID = re.compile(rb"[A-Za-z0-9\-._]{1,64}")
_METADATA_PATH = b"/metadata"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the proxy is put together from."""

    resolver: BearerResolver
    grants: Grants
    keeper: Keeper
    sealer: Sealer
    cors: Cors
    witness: Witness
    realm: str
    body_limit: int
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)


class FhirProxy:
    """A plain ASGI callable below the FHIR base: no middleware, no framework objects (performance.md rule 3)."""

    def __init__(self, base_path: str, parts: Parts) -> None:
        """`base_path` is the path of the public base, without trailing slash."""
        self._base_length = len(base_path)
        self._parts = parts
        # Unguessable across processes, countable within one: an id for every decision at the cost of a counter.
        self._process = secrets.token_hex(6)
        self._counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One request."""
        record = Record(scope["method"], f"{self._process}-{next(self._counter):x}", time.perf_counter())
        record.remote = scope["client"][0] if scope["client"] else None
        headers = _joined(scope["headers"])
        record.request_id = _request_id(headers.get(b"x-request-id"), record.decision_id)
        public = False
        try:
            path = scope["raw_path"][self._base_length :]
            public = path == _METADATA_PATH
            if scope["method"] == "OPTIONS":
                answer = Answer(204, Reason.PERMITTED, b"")
            else:
                answer = await self._carry_out(scope, path, headers, receive, record)
        except Refused as refused:
            answer = refusal(refused, realm=self._parts.realm)
        except Exception:
            self._parts.witness.fault(record)
            answer = refusal(Refused(Reason.INTERNAL_ERROR), realm=self._parts.realm)
        self._add_headers(answer, scope, headers, record, public=public)
        record.answer = answer
        self._parts.witness.see(record)
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _carry_out(
        self, scope: Scope, path: bytes, headers: Mapping[bytes, bytes], receive: Receive, record: Record
    ) -> Answer:
        now = time.time()
        access = None if path == _METADATA_PATH else await self._access(headers.get(b"authorization"), now, record)
        interaction = await self._interaction(scope, path, headers, receive)
        record.interaction = interaction
        if access is None:
            return await self._metadata(interaction, record, now)
        page = None
        if isinstance(interaction, Page):
            page = self._parts.sealer.open(interaction.sealed, access, now)
            if page is None:
                raise Refused(Reason.PAGE_UNKNOWN)
            interaction = record.interaction = parse(
                "GET", page.path.encode(), page.query.encode(), {}, b"", self._parts.extra_parameters
            )
        allow, asked = await self._decide(interaction, access, headers.get(b"accept", b"*/*"), record, now)
        if page is not None:
            target, _, query = page.target.partition("?")
            allow = replace(allow, send=Send(target, query), left_out=())
        record.sent_at = time.perf_counter()
        try:
            return await self._parts.keeper.answer(allow, asked)
        finally:
            record.answered_at = time.perf_counter()

    async def _access(self, authorization: bytes | None, now: float, record: Record) -> Access:
        resolver = self._parts.resolver
        known = resolver.resolve_cached(authorization, now)
        record.token_cached = known is not None
        if known is None:
            try:
                known = await resolver.resolve(authorization, now)
            except TokenRefused as refused:
                known = refused
        if isinstance(known, TokenRefused):
            record.detail = known.detail
            # A new exception: one that is remembered and raised again would grow by a traceback each time.
            raise Refused(known.reason)
        record.access = known
        return known

    async def _interaction(
        self, scope: Scope, path: bytes, headers: Mapping[bytes, bytes], receive: Receive
    ) -> Interaction:
        method = scope["method"]
        body = b""
        if method not in {"GET", "HEAD"} or b"content-length" in headers or b"transfer-encoding" in headers:
            body = await _body(receive, self._parts.body_limit)
        return parse(method, path, scope["query_string"], headers, body, self._parts.extra_parameters)

    async def _metadata(self, interaction: Interaction, record: Record, now: float) -> Answer:
        if not isinstance(interaction, Capabilities):
            raise Refused(Reason.INTERACTION_NOT_SUPPORTED)
        return await self._parts.keeper.capabilities(record.request_id, now)

    async def _decide(
        self, interaction: Interaction, access: Access, accept: bytes, record: Record, now: float
    ) -> tuple[Allow, Asked]:
        grant = self._parts.grants.of(access)
        decision = decide(interaction, grant)
        if isinstance(decision, Need):
            grant = await self._parts.grants.informed(access, decision, record.request_id, now)
            decision = decide(interaction, grant)
        if isinstance(decision, Deny):
            raise Refused.because(decision)
        if isinstance(decision, Need):
            # A fact that was looked up and is still missing: the user reaches nothing.
            raise Refused(Reason.USER_REACH_UNKNOWN)
        return decision, Asked(interaction, grant, access, record.request_id, now, accept)

    def _add_headers(
        self, answer: Answer, scope: Scope, headers: Mapping[bytes, bytes], record: Record, *, public: bool
    ) -> None:
        cors, origin = self._parts.cors, headers.get(b"origin")
        answer.headers.append((b"x-request-id", record.request_id))
        answer.headers.append((b"x-decision-id", record.decision_id.encode()))
        if scope["method"] == "OPTIONS":
            answer.headers.extend(cors.preflight(origin, public=public))
        elif public:
            answer.headers.extend(ANY_ORIGIN)
        elif origin is not None:
            answer.headers.extend(cors.headers(origin))


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
