"""Checks whether a resource, in its current version, is visible to a grant: for prerequisites and for vouching."""

from collections.abc import Collection

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.resources.resource import MalformedResourceError, Members, open_resource, read_type_and_id
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.judgement.compartment_members import can_be_member, is_member
from gateway.policy.judgement.judge_resource import Judgement, judge_resource
from gateway.policy.judgement.provenance_targets import ProvenanceTargets
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.reach import CompartmentSet
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.reading.record_failures import PER_RECORD_FAILURES, hangs_on_record
from gateway.proxy.request_context import RequestContext

# Failures for which a resource does not vouch. That the server refuses it is one: it was looked for only because
# another resource exists, which a failure would tell.
_CANNOT_VOUCH = PER_RECORD_FAILURES | {Reason.NOT_FOUND, Reason.UPSTREAM_REFUSED}
# At most this many targets are fetched for one Provenance, or for one page of them.
MAX_TARGETS = 20


class ResourceChecks:
    """Fetches resources on which a decision depends, and judges them."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    async def may_read(self, reference: Reference, context: RequestContext) -> bool:
        """Whether the token can read the resource. A Provenance also needs a visible target (enforcement.md 8)."""
        return await self._is_permitted(context.grant.read_permission(reference.resource_type), reference, context)

    async def may_find(self, reference: Reference, context: RequestContext) -> bool:
        """Whether the token can find the resource by any search. A Provenance also needs a visible target."""
        return await self._is_permitted(context.grant.search_permission(reference.resource_type), reference, context)

    async def can_vouch(
        self, reference: Reference, compartment_sets: Collection[CompartmentSet], context: RequestContext
    ) -> bool:
        """Whether the resource can vouch for another one, for which only members of these compartments can vouch.

        The token must be able to read or find it, and it must be a member. A Provenance that itself depends on another
        resource does not count; that resource is not fetched.
        """
        grant = context.grant
        if not can_be_member(reference.resource_type, compartment_sets, grant.rules):
            return False
        permission = grant.read_or_search_permission(reference.resource_type)
        try:
            members, judgement = await self._fetch_and_judge(permission, reference, context)
        except RequestRefused as refused:
            if refused.deny.reason in _CANNOT_VOUCH:
                return False
            raise
        return judgement is True and is_member(members, compartment_sets, grant.rules)

    async def is_visible(self, judgement: Judgement, context: RequestContext) -> bool:
        """Whether the judged resource is visible; for a Provenance, whether one of its targets vouches for it."""
        if not isinstance(judgement, ProvenanceTargets):
            return judgement
        for target in judgement.references[:MAX_TARGETS]:
            if await self.can_vouch(target, judgement.compartments, context):
                return True
        return False

    async def _is_permitted(self, permission: Permission, reference: Reference, context: RequestContext) -> bool:
        try:
            _, judgement = await self._fetch_and_judge(permission, reference, context)
        except RequestRefused as refused:
            if refused.deny.reason is Reason.NOT_FOUND or await hangs_on_record(
                refused, reference.resource_type, self._server, context.trace
            ):
                return False
            raise
        return await self.is_visible(judgement, context)

    async def _fetch_and_judge(
        self, permission: Permission, reference: Reference, context: RequestContext
    ) -> tuple[Members, Judgement]:
        """The current version of the resource and its judgement; no members and False if there is nothing to judge.

        Raises `RequestRefused`.
        """
        if not permission:
            return {}, False
        current = Reference(reference.resource_type, reference.id)
        try:
            members = open_resource(await self._server.fetch(UpstreamRequest(f"/{current}"), context.trace))
            if read_type_and_id(members) != (current.resource_type, current.id):
                return {}, False
            return members, judge_resource(members, permission, context.grant)
        except MalformedResourceError:
            return {}, False
