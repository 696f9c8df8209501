"""Answers entries of a Bundle, each as a request by itself: decided, carried out, judged and reported like any."""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.asgi.refusal import RequestRefused, refusal_response
from gateway.asgi.response import FhirResponse
from gateway.fhir.request.bundle_body import locate_entry
from gateway.fhir.request.interaction import BundleRequest, Write
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.proxy.bundles.answered_entry import build_entry, collect_body
from gateway.proxy.bundles.bundle_limits import BundleLimits
from gateway.proxy.bundles.entry_request import build_entry_request
from gateway.proxy.fhir_server import failure
from gateway.proxy.incoming_request import IncomingRequest
from gateway.proxy.kept_events import keep_event
from gateway.proxy.record_response import record_response
from gateway.telemetry.audit_events.named_patients import patients_of_tree
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.telemetry import Telemetry
from gateway.upstream.exchange_types import UpstreamError

# Entries of one Bundle that are under way at the same time; a pool has 32 connections by default.
_MAX_CONCURRENT = 16


class AnswersRequests(Protocol):
    """What answers a single request."""

    def answer(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> Awaitable[FhirResponse]:
        """The response, to be awaited. Raises `RequestRefused`."""


@dataclass(frozen=True, slots=True)
class BundleContext:
    """The request that the entries came in, whose grant holds for each of them, and until when they may take.

    `ends_at` is a moment of the event loop's clock. `urns` are names of entries, to which no other may refer.
    """

    request: IncomingRequest
    access: Access
    grant: Grant
    record: RequestRecord
    ends_at: float
    urns: frozenset[str] = frozenset()


class EntryAnswers:
    """Answers entries. `limits` are those of the whole Bundle."""

    def __init__(self, answers: AnswersRequests, telemetry: Telemetry, realm: str, limits: BundleLimits) -> None:
        self._answers = answers
        self._telemetry = telemetry
        self._keeps_events = telemetry.keeps_events
        self._realm = realm
        self.limits = limits

    async def answer_all(
        self, entries: Iterable[tuple[int, BundleRequest]], bundle: BundleContext
    ) -> dict[int, Mapping[str, Any]]:
        """The answers by index. An entry that is refused is answered by its refusal, and so is one out of time."""
        wanted, answers = dict(entries), dict[int, Mapping[str, Any]]()
        waiting, budget = iter(wanted.items()), _Budget(self.limits.answer_bytes)
        started_at = time.perf_counter()

        async def work() -> None:
            for index, entry in waiting:
                answers[index] = await self._answer_and_report(index, entry, bundle, budget)

        workers = [asyncio.create_task(work()) for _ in range(min(_MAX_CONCURRENT, len(wanted)))]
        try:
            if workers:
                await asyncio.wait(workers, timeout=bundle.ends_at - asyncio.get_running_loop().time())
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        for index in wanted.keys() - answers.keys():
            response, answers[index] = self.refuse(RequestRefused(Reason.UPSTREAM_TIMEOUT), index)
            self.report(self.create_record(wanted[index], index, bundle), response, started_at)
        return answers

    async def _answer_and_report(
        self, index: int, entry: BundleRequest, bundle: BundleContext, budget: "_Budget"
    ) -> Mapping[str, Any]:
        record, started_at = self.create_record(entry, index, bundle), time.perf_counter()
        try:
            response, answered = await self._answer(entry, bundle, record, budget)
        except RequestRefused as refused:
            response, answered = self.refuse(refused, index)
        except Exception:
            self._telemetry.log_fault(record)
            response, answered = self.refuse(RequestRefused(Reason.INTERNAL_ERROR), index)
        self.report(record, response, started_at)
        return answered

    async def _answer(
        self, entry: BundleRequest, bundle: BundleContext, record: RequestRecord, budget: "_Budget"
    ) -> tuple[FhirResponse, Mapping[str, Any]]:
        request = build_entry_request(entry, bundle.request, bundle.grant.rules.public_base, bundle.urns)
        try:
            response = await self._answers.answer(request, bundle.access, bundle.grant, record)
            return response, await _build(response, record, budget)
        finally:
            record.upstream_seconds = request.trace.waited_seconds

    def refuse(self, refused: RequestRefused, index: int) -> tuple[FhirResponse, Mapping[str, Any]]:
        """The response to an entry that is refused, and the entry that says so."""
        refused.location = locate_entry(index)
        response = refusal_response(refused, realm=self._realm)
        body = response.body if isinstance(response.body, bytes) else b""
        return response, build_entry(response, body, is_write=False)

    def report(self, record: RequestRecord, response: FhirResponse, started_at: float) -> None:
        """Report an entry as a request. `started_at` is a moment of `time.perf_counter`.

        If its AuditEvents cannot be kept, those of the whole Bundle cannot either, and nothing of it leaves.
        """
        record_response(response, record)
        if self._keeps_events:
            keep_event(response, record, self._telemetry, self._realm)
        record.duration_seconds = time.perf_counter() - started_at
        self._telemetry.add_request(record)

    def create_record(self, entry: BundleRequest, index: int, bundle: BundleContext) -> RequestRecord:
        """The record of one entry. Its decision id is that of the Bundle with the index of the entry."""
        whole = bundle.record
        record = RequestRecord(
            entry.method,
            f"{whole.decision_id}.{index}",
            whole.request_id,
            time.time(),
            whole.remote_address,
            whole.token_cached,
            bundle.access,
        )
        record.trace_id = whole.trace_id
        if self._keeps_events:
            record.written_patients = tuple(patients_of_tree(entry.resource))
        return record


class _Budget:
    """How many bytes the answers that are still to come may have together."""

    def __init__(self, remaining: int) -> None:
        self.remaining = remaining


async def _build(response: FhirResponse, record: RequestRecord, budget: _Budget) -> Mapping[str, Any]:
    """The entry for a response. A write is done, so that its answer is left out where there is no place for it."""
    is_write = isinstance(record.interaction, Write)
    try:
        body = await collect_body(response, budget.remaining)
        if body is None:
            if not is_write:
                raise RequestRefused(Reason.UPSTREAM_TOO_LARGE)
            body = b""
        budget.remaining -= len(body)
        return build_entry(response, b"" if record.method == "HEAD" else body, is_write=is_write)
    except UpstreamError as error:
        raise failure(error) from error
    except MalformedResourceError as error:
        raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error
