"""Carries out a transaction: every entry is decided before anything is sent, and the writes go to the server as one."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.request.bundle_body import locate_entry
from gateway.fhir.request.bundle_entry import may_be_entry, read_entry_body, read_target
from gateway.fhir.request.bundle_names import is_name
from gateway.fhir.request.content import WrittenContent, parse_resource
from gateway.fhir.request.interaction import BundleRequest, Interaction, Write, WriteKind
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.request.parse_request import is_write
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search_parameters import SearchType
from gateway.policy.decision_types import AllowBundle, AllowWrite
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.proxy.bundles.answered_entry import build_bundle_response, build_entry
from gateway.proxy.bundles.entry_answers import BundleContext, EntryAnswers
from gateway.proxy.fhir_server import FHIR_JSON
from gateway.proxy.grant_cache import GrantCache
from gateway.proxy.incoming_request import IncomingRequest, parse_interaction, parse_written_content
from gateway.proxy.record_response import record_permission
from gateway.proxy.request_context import RequestContext
from gateway.proxy.writing.transaction_plan import PlannedWrite, at_entry
from gateway.proxy.writing.transaction_writes import MAY_BE_DONE, TransactionWrites
from gateway.telemetry.request_record import RequestRecord


@dataclass(frozen=True, slots=True)
class _Decided:
    """A write without its content, and what was decided on it."""

    write: Write
    allow: AllowWrite
    context: RequestContext


class TransactionExecution:
    """Executes an `AllowBundle` of a transaction."""

    def __init__(
        self,
        entries: EntryAnswers,
        grants: GrantCache,
        writes: TransactionWrites,
        extra_parameters: Mapping[str, Mapping[str, SearchType]],
    ) -> None:
        """`entries` answers what is read, after the writes (R4 http.html 3.1.0.11.2)."""
        self._entries = entries
        self._grants = grants
        self._writes = writes
        self._extra_parameters = extra_parameters

    async def execute(
        self, allow: AllowBundle, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        """The answers in the order of the entries. Raises `RequestRefused` if one is refused: then nothing is done."""
        limits = self._entries.limits
        limits.check(len(allow.entries))
        ends_at = asyncio.get_running_loop().time() + limits.seconds
        bundle = BundleContext(request, access, grant, record, ends_at)
        try:
            async with asyncio.timeout_at(ends_at):
                decided: dict[object, _Decided] = {}
                planned = [await self._plan(entry, index, bundle, decided) for index, entry in enumerate(allow.entries)]
                writes = [plan for plan in planned if plan is not None]
                _refuse_names_twice(writes)
                answers = await self._write(writes, allow, bundle)
        except TimeoutError as error:
            raise RequestRefused(Reason.UPSTREAM_TIMEOUT, hint=MAY_BE_DONE) from error
        reads = [(index, entry) for index, entry in enumerate(allow.entries) if index not in answers]
        answers.update(await self._entries.answer_all(reads, bundle))
        return build_bundle_response("transaction", [answers[index] for index in range(len(allow.entries))])

    async def _plan(
        self, entry: BundleRequest, index: int, bundle: BundleContext, decided: dict[object, "_Decided"]
    ) -> PlannedWrite | None:
        """The write of an entry, decided as far as nothing of what is stored is known; None if it reads.

        Creates of one type are decided once: `decided` keeps them.
        """
        key = (entry.url, *entry.headers.items()) if entry.method == "POST" else None
        with at_entry(index):
            found = decided.get(key) or await self._decide(entry, bundle)
            if found is None:
                return None
            if key is not None:
                decided[key] = found
            can_be_named = found.write.kind is not WriteKind.DELETE and is_name(entry.full_url)
            name = entry.full_url if can_be_named else ""
            return PlannedWrite(index, found.allow, _read_content(entry, found.write), found.context, name)

    async def _decide(self, entry: BundleRequest, bundle: BundleContext) -> "_Decided | None":
        trace, access, now = bundle.request.trace, bundle.access, bundle.record.arrived_at
        interaction = self._parse(entry, bundle)
        allow, grant = await self._grants.decide(interaction, access, bundle.grant, trace, now)
        if not isinstance(allow, AllowWrite) or not isinstance(interaction, Write):
            return None
        address = format_interaction_url(interaction)
        context = RequestContext(interaction, address, grant, access, trace, now, FHIR_JSON)
        return _Decided(interaction, allow, context)

    def _parse(self, entry: BundleRequest, bundle: BundleContext) -> Interaction:
        target = read_target(entry, bundle.grant.rules.public_base)
        if not may_be_entry(entry.method, target):
            raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED, "request.url")
        headers = {b"accept": FHIR_JSON, **entry.headers}
        body = b""
        if not is_write(entry.method, target.path):
            headers[b"content-type"], body = read_entry_body(entry)
        elif b"prefer" in bundle.request.headers:
            headers[b"prefer"] = bundle.request.headers[b"prefer"]
        return parse_interaction(entry.method, target.path, target.query, headers, body, self._extra_parameters)

    async def _write(
        self, writes: list[PlannedWrite], allow: AllowBundle, bundle: BundleContext
    ) -> dict[int, Mapping[str, Any]]:
        """The answers to the writes, each of which is reported as a request."""
        started_at = time.perf_counter()
        responses = await self._writes.execute(writes, bundle.request.trace)
        answers: dict[int, Mapping[str, Any]] = {}
        for write in writes:
            response, entry = self._build(responses[write.index], write.index)
            record = self._entries.create_record(allow.entries[write.index], write.index, bundle)
            record.interaction = write.context.interaction
            record_permission(write.context.grant, record)
            self._entries.report(record, response, started_at)
            answers[write.index] = entry
        return answers

    def _build(self, answer: FhirResponse | RequestRefused, index: int) -> tuple[FhirResponse, Mapping[str, Any]]:
        if isinstance(answer, RequestRefused):
            return self._entries.refuse(answer, index)
        return answer, build_entry(answer, answer.body if isinstance(answer.body, bytes) else b"", is_write=True)


def _read_content(entry: BundleRequest, write: Write) -> WrittenContent | None:
    """The content of a write. Raises `RequestError` and `RequestRefused`."""
    if entry.resource is None and write.kind is not WriteKind.DELETE:
        raise RequestError(RequestProblem.BODY_MISSING)
    if write.kind in {WriteKind.CREATE, WriteKind.UPDATE}:
        return parse_resource(entry.resource, write)
    content_type, body = read_entry_body(entry)
    return parse_written_content(write, {b"content-type": content_type}, body)


def _refuse_names_twice(writes: list[PlannedWrite]) -> None:
    names = set[str]()
    for write in writes:
        if write.name.lower() in names:
            raise RequestRefused(Reason.BUNDLE_MALFORMED, f"{locate_entry(write.index)}.fullUrl")
        if write.name:
            # A server may read the letters of a UUID in either case.
            names.add(write.name.lower())
