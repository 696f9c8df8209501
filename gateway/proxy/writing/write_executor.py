"""Carries out a write: asks for the facts that the decision needs, sends what was decided, and judges the answer."""

import msgspec

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.content import JsonPatch, WrittenContent, WrittenResource
from gateway.fhir.request.interaction import WriteKind
from gateway.fhir.request_error import RequestError
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.decision_types import AllowWrite, Deny, UpstreamWrite
from gateway.policy.reasons import Reason
from gateway.policy.writing.judge_delete import find_delete_criteria
from gateway.policy.writing.judge_write import judge_write
from gateway.policy.writing.judged_write import JudgedWrite, finish_write, was_overtaken
from gateway.policy.writing.new_state import NewState, prepare_content
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.fhir_server import WriteAnswer
from gateway.proxy.incoming_request import refuse_request
from gateway.proxy.request_context import RequestContext
from gateway.proxy.writing.binary_owners import needs_content
from gateway.proxy.writing.conditional_target import aim_at_found, aim_at_nothing
from gateway.proxy.writing.conditions import resource_id
from gateway.proxy.writing.write_parts import SendsWrites, WriteParts
from gateway.proxy.writing.write_response import (
    WrittenState,
    build_write_response,
    find_created_id,
    read_written,
)
from gateway.telemetry.tracing.spans import SpanName

# How servers answer the second of two conditional creates at once.
_OVERTAKEN = frozenset({Reason.PRECONDITION_FAILED, Reason.UPSTREAM_CONFLICT})
_DELETED = 204
_CREATED = 201
_OK = 200


_New = NewState | JsonPatch | None


def _prepare(allow: AllowWrite, content: WrittenContent | None) -> _New:
    """What is judged of a content. Raises `RequestRefused` if nothing stored could make it acceptable."""
    new = prepare_content(allow, content) if isinstance(content, WrittenResource) else content
    if isinstance(new, Deny):
        raise RequestRefused.from_decision(new)
    return new


class WriteExecutor:
    """Executes an `AllowWrite`."""

    def __init__(self, parts: WriteParts, sender: SendsWrites | None = None) -> None:
        """Writes go to the FHIR server, unless there is another `sender`."""
        self._parts = parts
        self._sender = parts.server if sender is None else sender

    async def execute(self, allow: AllowWrite, content: WrittenContent | None, context: RequestContext) -> FhirResponse:
        """The response to a write. Raises `RequestRefused`."""
        try:
            new = _prepare(allow, content)
            if allow.condition is not None:
                # Not every server keeps two conditional writes at once apart.
                async with self._parts.turns.take(allow.condition.upstream_request.target):
                    return await self._execute_conditional(allow, content, new, context)
            if allow.write.id is None:
                return await self._write(allow, new, None, context)
            return await self._write_stored(allow, new, context)
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error
        except RequestError as error:
            raise refuse_request(error) from error

    async def _write_stored(self, allow: AllowWrite, new: _New, context: RequestContext) -> FhirResponse:
        """Write to a resource of a known id."""
        reference = Reference(allow.write.resource_type, str(allow.write.id))
        criteria = find_delete_criteria(allow)
        stored = await self._parts.deletes.find(reference, criteria, context.trace) if criteria else None
        if stored is not None:
            return await self._write(allow, new, stored, context, proven=criteria)
        stored = await self._parts.states.fetch(reference, context.trace, with_content=needs_content(allow))
        return await self._write(allow, new, stored, context)

    async def _execute_conditional(
        self, allow: AllowWrite, content: WrittenContent | None, new: _New, context: RequestContext
    ) -> FhirResponse:
        if allow.condition is None:
            raise TypeError("The write has no condition.")
        found = await self._parts.conditions.resolve(allow.condition, context)
        if allow.write.kind is WriteKind.CREATE:
            if found is not None:
                return self._respond_with_found(found, allow)
            return await self._create(allow, new, context)
        if found is not None:
            allow, content = aim_at_found(allow, content, resource_id(found))
            return await self._write(allow, _prepare(allow, content), found, context)
        target = aim_at_nothing(allow, content)
        if target is None:
            return FhirResponse(_DELETED, Reason.PERMITTED, b"")
        allow, content = target
        new = _prepare(allow, content)
        if allow.write.id is None:
            return await self._create(allow, new, context, is_update=True)
        return await self._write_stored(allow, new, context)

    async def _create(
        self, allow: AllowWrite, new: _New, context: RequestContext, *, is_update: bool = False
    ) -> FhirResponse:
        """A create under a condition that nothing meets.

        The condition goes along where the narrowed criteria find nothing but what the token may find, so that two of
        them at once make one resource. What the server finds nevertheless is looked for again: it answers a create,
        while an update has then stored nothing.
        """
        _, request = await self._decide(allow, new, None, context)
        allow = await self._parts.binaries.add_readable_owner(allow, new, context)
        if not allow.if_none_exist or allow.condition is None:
            return self._respond(await self._sender.send_write(request, context.trace, context.upload), allow, context)
        conditional = msgspec.structs.replace(request, if_none_exist=allow.if_none_exist)
        for is_last in (False, True):
            answer = await self._send_or_none(conditional, context, is_last=is_last)
            if answer is not None and answer.status != _OK:
                return self._respond(answer, allow, context)
            found = await self._parts.conditions.resolve(allow.condition, context)
            if found is not None and is_update:
                raise RequestRefused(Reason.PRECONDITION_FAILED)
            if found is not None:
                return self._respond_with_found(found, allow)
        # The server holds against the condition what the token may not find.
        return self._respond(await self._sender.send_write(request, context.trace, context.upload), allow, context)

    async def _send_or_none(
        self, request: UpstreamWrite, context: RequestContext, *, is_last: bool
    ) -> WriteAnswer | None:
        """The answer; None where another create under the same condition was quicker, unless this is the last try."""
        try:
            return await self._sender.send_write(request, context.trace, context.upload)
        except RequestRefused as refused:
            if is_last or refused.deny.reason not in _OVERTAKEN:
                raise
            return None

    def _respond_with_found(self, found: StoredState, allow: AllowWrite) -> FhirResponse:
        written = read_written(found.text, (allow.write.resource_type, resource_id(found)), allow)
        return self._build_response(_OK, written, allow)

    async def _write(
        self, allow: AllowWrite, new: _New, stored: StoredState | None, context: RequestContext, *, proven: str = ""
    ) -> FhirResponse:
        """`proven` are the criteria of a delete that are known to find what is stored alone."""
        judged, request = await self._decide(allow, new, stored, context)
        allow = await self._parts.binaries.add_readable_owner(allow, new, context)
        if allow.write.id is None:
            return self._respond(await self._sender.send_write(request, context.trace, context.upload), allow, context)
        # One write at a time for each record: not every server checks and writes in one step. Who may not write to it
        # holds nobody up.
        async with self._parts.turns.take(f"{allow.write.resource_type}/{allow.write.id}"):
            if allow.write.kind is WriteKind.DELETE:
                response = await self._delete(request, allow, context, proven)
            else:
                response = self._respond(
                    await self._sender.send_write(request, context.trace, context.upload), allow, context
                )
        response.replaced = None if stored is None else stored.resource
        if judged.is_untied:
            is_update_of_another = stored is None and response.status == _OK
            response.overtaken = is_update_of_another or was_overtaken(judged, await self._fetch_behind(allow, context))
        return response

    async def _fetch_behind(self, allow: AllowWrite, context: RequestContext) -> StoredState | None:
        """The state behind a write that is done, so that no failure matters any more."""
        try:
            return await self._parts.states.fetch(
                Reference(allow.write.resource_type, str(allow.write.id)), context.trace
            )
        except RequestRefused:
            return None

    async def _decide(
        self, allow: AllowWrite, new: _New, stored: StoredState | None, context: RequestContext
    ) -> tuple[JudgedWrite, UpstreamWrite]:
        judged = judge_write(allow, new, await self._parts.binaries.add_owner(stored, allow, context.trace))
        if isinstance(judged, Deny):
            raise RequestRefused.from_decision(judged)
        records = await self._parts.states.fetch_records(judged.records, context.trace) if judged.records else {}
        request = finish_write(judged, records)
        if isinstance(request, Deny):
            raise RequestRefused.from_decision(request)
        return judged, request

    async def _delete(
        self, request: UpstreamWrite, allow: AllowWrite, context: RequestContext, proven: str
    ) -> FhirResponse:
        """Delete. A delete by criteria is proven before, and looked at afterwards: its answer says nothing."""
        reference = Reference(allow.write.resource_type, str(allow.write.id))
        if request.query and request.query != proven:
            await self._parts.deletes.prove(reference, request.query, context.trace)
        await self._sender.send_write(request, context.trace)
        if request.query and await self._parts.states.fetch(reference, context.trace) is not None:
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        return FhirResponse(_DELETED, Reason.PERMITTED, b"")

    def _respond(self, answer: WriteAnswer, allow: AllowWrite, context: RequestContext) -> FhirResponse:
        write = allow.write
        known_id = write.id or find_created_id(answer.headers, write.resource_type)
        with context.trace.span(SpanName.VERIFICATION):
            written = read_written(answer.body, (write.resource_type, known_id), allow)
        status = _CREATED if answer.status == _CREATED else _OK
        return self._build_response(status, written, allow)

    def _build_response(self, status: int, written: WrittenState, allow: AllowWrite) -> FhirResponse:
        if written.body:
            written = WrittenState(written.id, self._parts.rewriter.rewrite(written.body), written.version)
        return build_write_response(status, written, allow)
