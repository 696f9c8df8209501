"""What the resources of a transaction say of its Binaries: one that points at a new Binary can vouch for it."""

from collections.abc import Sequence

from gateway.fhir.reference import Reference
from gateway.policy.permission.unit import Unit
from gateway.policy.writing.binary_owner import BINARY, NO_BUNDLE, BundleFacts, find_owner, is_vouched_for
from gateway.policy.writing.new_state import NewState
from gateway.proxy.writing.binary_owners import BinaryOwners, needs_content
from gateway.proxy.writing.transaction_plan import EntryNames, PlannedWrite


class TransactionBinaries:
    """The Binaries among the writes that are to be sent. `names` tells what each of them is called meanwhile."""

    def __init__(self, writes: Sequence[PlannedWrite], names: EntryNames) -> None:
        self._writes = writes
        self._names = names
        self._new = frozenset(names.find(write) for write in writes if _is_binary(write) and write.stored is None)

    def facts_for(self, write: PlannedWrite) -> BundleFacts:
        """What the transaction knows of the write's Binaries: of itself, and of those that it points at."""
        if not self._new:
            return NO_BUNDLE
        binary = self._names.find(write)

        def vouches(unit: Unit) -> bool:
            return any(
                isinstance(other.new, NewState)
                and is_vouched_for(binary, unit, other.new.resource, _list_targets(other.new))
                for other in self._writes
                if other is not write
            )

        return BundleFacts(self._new, vouches)

    async def add_readable_owners(self, owners: BinaryOwners) -> None:
        """Let the writes say on whose account the token may read them. What they make is not there to be asked for."""
        binaries = [write for write in self._writes if _is_binary(write)]
        known = self._names.list_records() if binaries else {}
        readable: dict[Reference, bool] = {}
        for write in binaries:
            if not isinstance(write.new, NewState):
                continue
            owner = find_owner(write.new.resource, write.allow.grant.rules)
            if owner is None or owner in known or readable.get(owner) is False:
                continue
            write.allow = await owners.add_readable_owner(write.allow, write.new, write.context)
            readable[owner] = write.allow.readable_owner is not None


def list_with_content(writes: Sequence[PlannedWrite]) -> frozenset[Reference]:
    """The Binaries whose stored content matters."""
    return frozenset(write.reference for write in writes if write.reference is not None and needs_content(write.allow))


def _is_binary(write: PlannedWrite) -> bool:
    return write.allow.write.resource_type == BINARY


def _list_targets(new: NewState) -> frozenset[Reference]:
    targets = (reference.target for reference in new.references)
    return frozenset(Reference(target.resource_type, target.id) for target in targets if target is not None)
