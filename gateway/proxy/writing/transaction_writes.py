"""Carries out the writes of a transaction: judges all of them, sends one Bundle, and judges each part of its answer."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.bundle_entry import find_urns
from gateway.fhir.request.bundle_names import names_binary
from gateway.fhir.request.content import JsonPatch
from gateway.fhir.request.interaction import WriteKind
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.fhir.resources.transaction_response import EntryAnswer, read_transaction_response
from gateway.policy.decision_types import Deny, UpstreamWrite
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import FoundInside, JudgedWrite, finish_write, was_overtaken
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.conditional_target import aim_at_found, aim_at_nothing
from gateway.proxy.writing.conditions import resource_id
from gateway.proxy.writing.transaction_binaries import TransactionBinaries, list_with_content
from gateway.proxy.writing.transaction_plan import (
    EntryNames,
    PlannedWrite,
    at_entry,
    encode_transaction,
    refuse_overlaps,
)
from gateway.proxy.writing.write_parts import WriteParts
from gateway.proxy.writing.write_response import (
    WrittenState,
    build_write_response,
    find_created_id,
    read_written,
)

# Records to which the bodies of one transaction refer, and which have to be looked up.
_MAX_RECORDS = 500
_CREATED = 201
_FAILED = 300
# Requests for one transaction that are under way at the same time.
_MAX_CONCURRENT = 8
MAY_BE_DONE = "The transaction may have been carried out all the same."


class TransactionWrites:
    """Executes the writes of a transaction: all of them or none."""

    def __init__(self, parts: WriteParts) -> None:
        self._parts = parts

    async def execute(
        self, writes: Sequence[PlannedWrite], trace: UpstreamTrace
    ) -> dict[int, FhirResponse | RequestRefused]:
        """The responses by index. Raises `RequestRefused`, with the entry on account of which nothing is done.

        A refusal among the responses is that of a write that came too late and has done nothing: a delete, of which
        only the state behind it tells, or an update that would have created what somebody else has created meanwhile.
        """
        names = EntryNames(writes)
        names.resolve()
        conditions = (write.allow.condition for write in writes)
        targets = {condition.upstream_request.target for condition in conditions if condition is not None}
        async with AsyncExitStack() as stack:
            # In one order, so that no two transactions wait for each other.
            for target in sorted(targets):
                await stack.enter_async_context(self._parts.turns.take(target))
            if targets:
                await self._resolve_conditions(writes)
                names.resolve()
            refuse_overlaps(writes)
            await self._judge(writes, names, trace)
            sent = [write for write in writes if write.request is not None]
            answers = await self._send(sent, names, trace)
        behind = await self._fetch_behind([write for write in sent if _must_be_looked_at(write)], trace)
        for write, answer in zip(sent, answers, strict=True):
            write.response = self._respond(write, answer, behind)
        return {write.index: write.response for write in writes if write.response is not None}

    async def _resolve_conditions(self, writes: Sequence[PlannedWrite]) -> None:
        """Find what conditions mean, so that every write but a create is about a resource of a known id."""
        for write in writes:
            if write.allow.condition is None:
                continue
            with at_entry(write.index):
                found = await self._parts.conditions.resolve(write.allow.condition, write.context)
                is_create = write.allow.write.kind is WriteKind.CREATE
                if found is None and not is_create:
                    aim = aim_at_nothing(write.allow, write.content)
                    if aim is None:
                        write.response = FhirResponse(204, Reason.PERMITTED, b"")
                    else:
                        write.allow, write.content = aim
                elif found is not None:
                    aimed, content = aim_at_found(write.allow, None if is_create else write.content, resource_id(found))
                    if is_create:
                        written = read_written(found.text, (aimed.write.resource_type, resource_id(found)), aimed)
                        write.response = self._build_response(200, written, write)
                    write.allow, write.stored = aimed, found
                    write.content = write.content if is_create else content

    async def _judge(self, writes: Sequence[PlannedWrite], names: EntryNames, trace: UpstreamTrace) -> None:
        """Decide what is sent of each write. The facts that all of them need are asked for together."""
        waiting = [write for write in writes if write.response is None]
        unknown = {reference: write for write in waiting if (reference := write.reference) and write.stored is None}
        whole = list_with_content(waiting)
        for reference, state in (await self._parts.states.fetch_all(unknown, trace, with_content=whole)).items():
            unknown[reference].stored = state
        for write in waiting:
            with at_entry(write.index):
                write.stored = await self._parts.binaries.add_owner(write.stored, write.allow, trace)
                judged = judge_write(write.allow, write.new, write.stored)
                if isinstance(judged, Deny):
                    raise RequestRefused.from_decision(judged)
                _refuse_patched_names(write, judged, names)
                write.judged = judged
        records, binaries = names.list_records(), TransactionBinaries(waiting, names)
        needed = {one for write in waiting if write.judged is not None for one in write.judged.records} - records.keys()
        if len(needed) > _MAX_RECORDS:
            raise RequestRefused(Reason.REQUEST_TOO_LARGE, "references")
        records.update(await self._parts.states.fetch_records(sorted(needed, key=str), trace))
        found_inside: FoundInside = {}
        for write in waiting:
            with at_entry(write.index):
                assert write.judged is not None
                request = finish_write(write.judged, records, binaries.facts_for(write), found_inside)
                if isinstance(request, Deny):
                    raise RequestRefused.from_decision(request)
                write.request = request
        await self._prove_deletes(waiting, trace)
        await binaries.add_readable_owners(self._parts.binaries)

    async def _prove_deletes(self, writes: Sequence[PlannedWrite], trace: UpstreamTrace) -> None:
        proved = [
            (write, (reference, request.query))
            for write in writes
            if (request := write.request) and request.method == "DELETE" and request.query
            if (reference := write.reference)
        ]
        errors = await self._parts.deletes.prove_all([delete for _, delete in proved], trace)
        for (write, _), error in zip(proved, errors, strict=True):
            if error is not None:
                with at_entry(write.index):
                    raise error

    async def _send(
        self, writes: Sequence[PlannedWrite], names: EntryNames, trace: UpstreamTrace
    ) -> tuple[EntryAnswer, ...]:
        if not writes:
            return ()
        try:
            answer = await self._parts.server.send_write(
                UpstreamWrite("POST", "", body=encode_transaction(writes, names)), trace
            )
        except RequestRefused as refused:
            raise RequestRefused(_REASONS.get(refused.deny.reason, refused.deny.reason)) from refused
        try:
            answers = read_transaction_response(answer.body, len(writes))
            for write, code in zip(writes, [one.response.code for one in answers], strict=True):
                if code >= _FAILED:
                    # Some servers carry out the rest all the same.
                    with at_entry(write.index):
                        raise RequestRefused(_find_reason(code), hint=MAY_BE_DONE)
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED, hint=MAY_BE_DONE) from error
        return answers

    def _respond(
        self, write: PlannedWrite, answer: EntryAnswer, behind: Mapping[int, StoredState | None]
    ) -> FhirResponse | RequestRefused:
        """The response to one write that is done: of the server's answer only what the token may see.

        `behind` are the states of the writes whose answers do not say enough.
        """
        request = write.request
        if request is not None and request.method == "DELETE":
            if request.query and behind.get(write.index) is not None:
                return RequestRefused(Reason.PRECONDITION_FAILED)
            response = FhirResponse(204, Reason.PERMITTED, b"")
        elif write.is_conditional_create and write.is_update and answer.response.code != _CREATED:
            # Somebody else made a match meanwhile. The server has left it as it is.
            return RequestRefused(Reason.PRECONDITION_FAILED)
        else:
            resource_type = write.allow.write.resource_type
            location = (answer.response.location or "").encode("latin-1", "replace")
            known_id = write.allow.write.id or find_created_id([(b"location", location)], resource_type)
            written = read_written(bytes(answer.resource), (resource_type, known_id), write.allow)
            response = self._build_response(_CREATED if answer.response.code == _CREATED else 200, written, write)
        response.replaced = None if write.stored is None else write.stored.resource
        if write.judged is not None and write.judged.is_untied and write.index in behind:
            response.overtaken = was_overtaken(write.judged, behind[write.index])
        return response

    async def _fetch_behind(
        self, writes: Sequence[PlannedWrite], trace: UpstreamTrace
    ) -> dict[int, StoredState | None]:
        """The states behind writes that are done, by index, so that no failure matters any more."""
        limit = asyncio.Semaphore(_MAX_CONCURRENT)

        async def fetch_one(reference: Reference | None) -> StoredState | None:
            async with limit:
                try:
                    return None if reference is None else await self._parts.states.fetch(reference, trace)
                except RequestRefused:
                    return None

        states = await asyncio.gather(*(fetch_one(write.reference) for write in writes))
        return {write.index: state for write, state in zip(writes, states, strict=True)}

    def _build_response(self, status: int, written: WrittenState, write: PlannedWrite) -> FhirResponse:
        if written.body:
            written = WrittenState(written.id, self._parts.rewriter.rewrite(written.body), written.version)
        return build_write_response(status, written, write.allow)


def _must_be_looked_at(write: PlannedWrite) -> bool:
    """Whether the server's answer does not say whether the write was done to what was judged."""
    if write.request is None or write.judged is None or write.reference is None:
        return False
    return write.judged.is_untied or (write.request.method == "DELETE" and bool(write.request.query))


# The address of a transaction is the base itself: what is not found is something in it. A conflict is nearly always a
# version that is no longer the current one, for which HAPI has 409 (hapi.md B7).
_REASONS = {Reason.NOT_FOUND: Reason.UPSTREAM_REJECTED, Reason.UPSTREAM_CONFLICT: Reason.PRECONDITION_FAILED}


def _find_reason(code: int) -> Reason:
    return Reason.PRECONDITION_FAILED if code in {409, 412} else Reason.UPSTREAM_REJECTED


def _refuse_patched_names(write: PlannedWrite, judged: JudgedWrite, names: EntryNames) -> None:
    """A patch can put a name together from parts, which the FHIR server would resolve.

    One that is stored already was not put together: a refusal would tell of it to a token that may not read it.
    """
    if not isinstance(write.new, JsonPatch):
        return
    patched = orjson.loads(judged.request.body)
    stored = frozenset[str]() if write.stored is None else frozenset(find_urns(write.stored.resource))
    if any(urn not in stored for urn in find_urns(patched)) or names_binary(patched, names.references):
        raise RequestRefused(Reason.REFERENCE_REFUSED, "urn")
