"""Looks up whose Binaries are that are written, and whether the token may read them afterwards."""

from dataclasses import replace

import msgspec

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import WriteKind
from gateway.policy.decision_types import AllowWrite
from gateway.policy.writing.binary_owner import BINARY, find_owner, find_owner_to_look_up, looks_at_content
from gateway.policy.writing.new_state import NewState
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.stored_states import StoredStates


def needs_content(allow: AllowWrite) -> bool:
    """Whether the content of a stored Binary matters: to a patch of it, or to a record rule that looks at it."""
    return allow.write.kind is WriteKind.PATCH or looks_at_content(allow.permission)


class BinaryOwners:
    """The records that the securityContext of Binaries names. Other types need nothing of it."""

    def __init__(self, states: StoredStates, checks: ResourceChecks) -> None:
        self._states = states
        self._checks = checks

    async def add_owner(
        self, stored: StoredState | None, allow: AllowWrite, trace: UpstreamTrace
    ) -> StoredState | None:
        """The stored state with the record that decides whose it is. Raises `RequestRefused`."""
        if stored is None or allow.write.resource_type != BINARY:
            return stored
        owner = find_owner_to_look_up(stored.resource, allow.permission, allow.grant.rules)
        if owner is None:
            return stored
        record = (await self._states.fetch_records([owner], trace))[owner]
        return msgspec.structs.replace(stored, owner_record=record)

    async def add_readable_owner(self, allow: AllowWrite, new: object, context: RequestContext) -> AllowWrite:
        """The write, which says on whose account the token may read what comes of it. Raises `RequestRefused`.

        It is asked before the write, so that no failure leaves it open whether the write was done.
        """
        if allow.write.resource_type != BINARY or not isinstance(new, NewState):
            return allow
        owner: Reference | None = find_owner(new.resource, allow.grant.rules)
        readable = allow.grant.read_permission(BINARY).vouching_compartments
        if owner is None or not readable or not await self._checks.can_vouch(owner, readable, context):
            return allow
        return replace(allow, readable_owner=owner)
