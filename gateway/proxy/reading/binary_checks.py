"""Checks whether a Binary is visible: permitted by itself, or vouched for by a resource within reach."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.resources.attachments import has_attachment
from gateway.fhir.resources.bundle import read_bundle
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    decode_member,
    open_resource,
    read_type_and_id,
)
from gateway.fhir.resources.version import read_version
from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, BinaryFilter, SearchFilter, UpstreamRequest
from gateway.policy.judgement.compartment_members import is_member
from gateway.policy.judgement.judge_bundle_entries import judge_bundle
from gateway.policy.judgement.judge_resource import judge_resource, may_be_vouched_for
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.reading.record_failures import PER_RECORD_FAILURES
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.upstream.exchange_types import Response

_MAX_RECORDS = 200


@dataclass(frozen=True, slots=True)
class BinaryChecks:
    """The checks for one requested Binary."""

    server: FhirServer
    binary_filter: BinaryFilter
    context: RequestContext
    checks: ResourceChecks

    async def is_permitted_by_head(self, response: Response) -> bool:
        """Whether raw content may be sent of which only the response head is known."""
        if self.binary_filter.permission.covers_whole_type:
            return True
        if self.binary_filter.permission.has_record_rules:
            return False
        security_context = _read_security_context(response)
        return security_context is not None and await self._can_vouch(security_context)

    async def is_not_contradicted_by_head(self, response: Response, members: Members) -> bool:
        """Whether the head of raw content is consistent with the Binary that was permitted as `members`."""
        security_context = _read_security_context(response)
        return (
            security_context is None or self._is_permitted_by_itself(members) or await self._can_vouch(security_context)
        )

    async def check_current(self) -> str | None:
        """The version id of the current version, which must be permitted before another version may be sent (leak_15).

        If it states no owner, a document that names the requested version vouches for it, too. Raises `RequestRefused`
        and `MalformedResourceError`.
        """
        requested = self.binary_filter.reference
        body = await self.server.fetch(UpstreamRequest(f"/Binary/{requested.id}"), self.context.trace)
        members = open_resource(body)
        if not await self._is_permitted(members, {*self._names_of_current(members), requested}):
            raise RequestRefused(Reason.OUT_OF_REACH)
        return read_version(members).version_id

    async def is_permitted(self, members: Members, current_version: str | None) -> bool:
        """Whether the Binary in JSON may be sent. `current_version` is the one that `check_current` found.

        Raises `MalformedResourceError` if it is another version than the one that was requested.
        """
        requested = self.binary_filter.reference
        if requested.version_id is None:
            return await self._is_permitted(members, self._names_of_current(members))
        version = read_version(members)
        if not version.may_be(requested.version_id):
            raise MalformedResourceError("another version than the one that was requested")
        # An older version may hold what the document that names the Binary alone was never about.
        names = {requested} if version.version_id is not None else set()
        if requested.version_id == current_version:
            names |= self._names_of_current(members)
        return await self._is_permitted(members, names)

    def _names_of_current(self, members: Members) -> set[Reference]:
        """How a document may name the Binary in its current version."""
        name = Reference("Binary", self.binary_filter.reference.id)
        version_id = read_version(members).version_id
        return {name} if version_id is None else {name, replace(name, version_id=version_id)}

    async def _is_permitted(self, members: Members, names: Collection[Reference]) -> bool:
        """Whether this version is permitted. `names` are the names by which a document may vouch for it."""
        if read_type_and_id(members) != ("Binary", self.binary_filter.reference.id):
            return False
        if self._is_permitted_by_itself(members):
            return True
        if not self.binary_filter.permission.vouching_compartments or "contained" in members:
            # A Binary has no contained resources (in R4 it is no DomainResource), so nothing vouches for one that does.
            return False
        if not may_be_vouched_for(members, self.binary_filter.permission):
            return False
        if "securityContext" not in members:
            return await self._is_attached_to_visible_record(names)
        value = decode_member(members["securityContext"])
        text = value.get("reference") if isinstance(value, dict) else None
        return isinstance(text, str) and await self._can_vouch(text)

    def _is_permitted_by_itself(self, members: Members) -> bool:
        return judge_resource(members, self.binary_filter.permission, self.context.grant) is True

    async def _can_vouch(self, security_context: str) -> bool:
        reference = parse_reference(security_context, self.context.grant.rules.bases)
        return reference is not None and await self.checks.can_vouch(
            reference, self.binary_filter.permission.vouching_compartments, self.context
        )

    async def _is_attached_to_visible_record(self, names: Collection[Reference]) -> bool:
        """Whether the token finds a record within reach that has an attachment of one of these names.

        Only a DocumentReference can be searched by the address of its attachment, and many servers cannot do that
        either. Without that, up to `_MAX_RECORDS` of the records that the token finds are examined.
        """
        if not names:
            return False
        if await self._is_attached_to_document(names):
            return True
        for resource_type in ("Media", "DiagnosticReport"):
            try:
                if await self._finds_record(resource_type, Query(count=_MAX_RECORDS), names):
                    return True
            except RequestRefused as refused:
                if refused.deny.reason not in PER_RECORD_FAILURES:
                    raise
        return False

    async def _is_attached_to_document(self, names: Collection[Reference]) -> bool:
        rules = self.context.grant.rules
        texts = sorted(map(str, names))
        locations = ",".join(texts + [f"{base}/{text}" for base in rules.bases for text in texts])
        by_location = Query(criteria=(SearchCriterion(SearchKey((ChainLink("location"),)), locations),))
        if "location" not in rules.unsupported_parameters.get("DocumentReference", ()):
            try:
                return await self._finds_record("DocumentReference", by_location, names)
            except RequestRefused as refused:
                if refused.deny.reason is not Reason.UPSTREAM_REJECTED:
                    raise
        return await self._finds_record("DocumentReference", Query(count=_MAX_RECORDS), names)

    async def _finds_record(self, resource_type: str, query: Query, names: Collection[Reference]) -> bool:
        grant = self.context.grant
        decision = decide(TypeSearch(resource_type, query), grant)
        if not isinstance(decision, Allow) or not isinstance(decision.response_filter, SearchFilter):
            return False
        body = await self.server.fetch(decision.upstream_request, self.context.trace)
        verdict = judge_bundle(read_bundle(body), decision.response_filter)
        records = [entry.resource for entry in verdict.kept_entries if entry is not None and entry.resource is not None]
        return any(
            has_attachment(members, names, grant.rules.bases)
            and is_member(members, self.binary_filter.permission.vouching_compartments, grant.rules)
            for members in records
        )


def _read_security_context(response: Response) -> str | None:
    """The security context that the head names. Two of them are joined, which names no resource."""
    values = [value.decode("latin-1") for name, value in response.headers if name == b"x-security-context"]
    return ",".join(values) if values else None
