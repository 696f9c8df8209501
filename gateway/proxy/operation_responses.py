"""Responses to operations: what the manifest requires is known before anything is sent, and the answer is judged."""

from typing import assert_never

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse, fhir_response
from gateway.fhir.resources.document_bundle import write_whole_bundle
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.parameters import write_meta_parameters
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    is_operation_outcome,
    open_resource,
    read_resource,
    read_type,
)
from gateway.policy.decision_types import Allow
from gateway.policy.judgement.bounded_outcome import bound_outcome
from gateway.policy.judgement.judge_operation_answer import (
    holds_only_types,
    is_whole_visible,
    judge_by_letters,
    judge_parameters,
)
from gateway.policy.judgement.judge_resource import Judgement
from gateway.policy.judgement.terminology_answer import is_permitted_definition, keep_terminology_parameters
from gateway.policy.operation_filter import OperationFilter, SentReferences
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import JudgedAnswer, OutcomeAnswer, TerminologyAnswer, WholeAnswer
from gateway.policy.reasons import Reason
from gateway.policy.writing.reference_rules import leads_inside
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.search_and_history.bundle_response import BundleResponses
from gateway.proxy.writing.stored_states import StoredStates
from gateway.telemetry.tracing.spans import SpanName


class OperationResponses:
    """Responds to operations."""

    def __init__(
        self,
        server: FhirServer,
        checks: ResourceChecks,
        stored_states: StoredStates,
        paged_responses: BundleResponses,
        rewriter: UrlRewriter,
    ) -> None:
        """`stored_states` reads the records to which a resource refers that is sent."""
        self._server = server
        self._stored_states = stored_states
        self._checks = checks
        self._paged_responses = paged_responses
        self._rewriter = rewriter

    async def respond(self, allow: Allow, operation_filter: OperationFilter, context: RequestContext) -> FhirResponse:
        """The answer of the operation. Raises `RequestRefused` and `MalformedResourceError`."""
        for sent_references in operation_filter.sent_references:
            await self._check_references(sent_references, context)
        if allow.upstream_request.is_page:
            return await self._paged_responses.respond(allow, operation_filter, context)
        body = await self._fetch(allow, context)
        members, text = read_resource(body)
        if isinstance(operation_filter.answer, JudgedAnswer) and read_type(members) == "Bundle":
            return await self._paged_responses.respond(allow, operation_filter, context, first_page=body)
        with context.trace.span(SpanName.VERIFICATION):
            return await self._judge(members, text, operation_filter, context)

    async def _judge(
        self, members: Members, text: bytes, operation_filter: OperationFilter, context: RequestContext
    ) -> FhirResponse:
        """The response to an operation whose answer is a single resource."""
        answer = operation_filter.answer
        match answer:
            case JudgedAnswer():
                resource_type = read_type(members)
                if resource_type == "Parameters":
                    return self._respond_with_parameters(text, operation_filter)
                if resource_type is None or is_operation_outcome(members):
                    raise MalformedResourceError("an answer of an operation without a resource")
                judgement = judge_by_letters(members, resource_type, operation_filter)
            case WholeAnswer():
                judgement = is_whole_visible(members, operation_filter)
                if read_type(members) == "Bundle":
                    text = _write_whole(members, operation_filter.grant)
            case OutcomeAnswer():
                judgement = True
                _check_types(members, frozenset())
                if not answer.has_texts and not operation_filter.grant.reads_everything:
                    text = bound_outcome(members, operation_filter.sent_resource)
            case TerminologyAnswer():
                _check_types(members, answer.types)
                text, judgement = _hold_terminology(members, text, answer, operation_filter.grant)
            case _:
                assert_never(answer)
        return await self._respond_with_resource(text, judgement, context)

    async def _check_references(self, sent_references: SentReferences, context: RequestContext) -> None:
        """Refuse a resource that refers to a record out of reach, as if there were none (leak_30)."""
        records = await self._stored_states.fetch_records(sent_references.records, context.trace)
        references = sent_references.references
        if not any(all(leads_inside(one, unit, records) for one in references) for unit in sent_references.units):
            raise RequestRefused(Reason.REFERENCE_OUT_OF_REACH)

    async def _fetch(self, allow: Allow, context: RequestContext) -> bytes:
        try:
            return await self._server.fetch(allow.upstream_request, context.trace)
        except RequestRefused as refused:
            if refused.deny.reason is Reason.NOT_FOUND and allow.prerequisite is not None:
                # The record was read before, so that it is the operation that the server does not have.
                raise RequestRefused(Reason.UPSTREAM_REJECTED) from refused
            raise

    def _respond_with_parameters(self, text: bytes, operation_filter: OperationFilter) -> FhirResponse:
        body, verdict = judge_parameters(text, operation_filter)
        response = fhir_response(self._rewriter.rewrite(body))
        response.kept, response.dropped = len(verdict.kept_entries), verdict.dropped_by_type
        response.withheld = verdict.withheld_by_type
        return response

    async def _respond_with_resource(self, text: bytes, judgement: Judgement, context: RequestContext) -> FhirResponse:
        if not await self._checks.is_visible(judgement, context):
            raise RequestRefused(Reason.OUT_OF_REACH)
        response = fhir_response(self._rewriter.rewrite(text))
        response.kept = 1
        return response


def _write_whole(members: Members, grant: Grant) -> bytes:
    return write_whole_bundle(
        members,
        upstream_base=grant.rules.upstream_base,
        public_base=grant.rules.public_base,
        is_envelope_permitted=grant.reads_everything,
    )


def _check_types(members: Members, types: frozenset[str]) -> None:
    if not holds_only_types(members, types):
        raise MalformedResourceError("an answer of an operation with a resource that has no place there")


def _hold_terminology(
    members: Members, text: bytes, answer: TerminologyAnswer, grant: Grant
) -> tuple[bytes, Judgement]:
    if grant.reads_everything:
        return text, True
    if is_operation_outcome(members):
        return bound_outcome(members, None), True
    if read_type(members) == "Parameters":
        return keep_terminology_parameters(members, answer, grant), True
    return text, is_permitted_definition(members, grant)


def respond_with_meta(response: FhirResponse) -> FhirResponse:
    """The answer of `$meta`, out of the response to a read of the record."""
    assert isinstance(response.body, bytes)
    meta_response = fhir_response(write_meta_parameters(open_resource(response.body).get("meta")))
    meta_response.kept = 1
    return meta_response
