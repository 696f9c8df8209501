"""The result of judging a Bundle: the entries that stay, and the counts of those that were dropped."""

from dataclasses import dataclass, field

from gateway.fhir.resources.bundle import BundleEntry
from gateway.policy.judgement.judge_resource import Judgement
from gateway.policy.judgement.provenance_targets import ProvenanceTargets

# Counted in the place of a resource type when an entry cannot be read.
UNREADABLE = "unreadable"


@dataclass(slots=True)
class Verdict:
    """The verdict on a Bundle.

    `kept_entries` are in the order of the Bundle. A Provenance whose judgement depends on its targets is None there,
    and stands in `pending_provenances` under the same index until it is resolved; so does a version of a Binary, for
    which another record may vouch, in `pending_binaries`. `dropped_by_type` counts all dropped
    entries by resource type. `missed_by_narrowing` counts those that the FHIR server did not mark as includes: the
    narrowed query should have kept them out of the response. `has_includes` says whether an entry that is kept or
    pending is an include. `withheld_by_type` counts those of the dropped ones that only a record rule hides.
    """

    kept_entries: list[BundleEntry | None] = field(default_factory=list)
    pending_provenances: dict[int, tuple[BundleEntry, ProvenanceTargets]] = field(default_factory=dict)
    pending_binaries: dict[int, BundleEntry] = field(default_factory=dict)
    dropped_by_type: dict[str, int] = field(default_factory=dict)
    missed_by_narrowing: dict[str, int] = field(default_factory=dict)
    has_includes: bool = False
    withheld_by_type: dict[str, int] = field(default_factory=dict)

    def record_drop(self, resource_type: str, *, is_include: bool = False) -> None:
        """Count an entry that is dropped."""
        self.dropped_by_type[resource_type] = self.dropped_by_type.get(resource_type, 0) + 1
        if not is_include:
            self.missed_by_narrowing[resource_type] = self.missed_by_narrowing.get(resource_type, 0) + 1

    def record_withheld(self, resource_type: str) -> None:
        """Count an entry that only a record rule hides; it is counted among the dropped ones as well."""
        self.withheld_by_type[resource_type] = self.withheld_by_type.get(resource_type, 0) + 1

    def add_pending_binary(self, entry: BundleEntry) -> None:
        """Put a version of a Binary among the pending ones."""
        self.pending_binaries[len(self.kept_entries)] = entry
        self.kept_entries.append(None)

    def add_drop_counts(self, other: "Verdict") -> None:
        """Add the counts of another page."""
        for counts, other_counts in (
            (self.dropped_by_type, other.dropped_by_type),
            (self.missed_by_narrowing, other.missed_by_narrowing),
            (self.withheld_by_type, other.withheld_by_type),
        ):
            for resource_type, count in other_counts.items():
                counts[resource_type] = counts.get(resource_type, 0) + count

    def record_judgement(self, entry: BundleEntry, judgement: Judgement, resource_type: str) -> None:
        """Keep the entry, drop it, or put it among the pending ones."""
        if judgement is True:
            self.kept_entries.append(entry)
        elif judgement is False:
            self.record_drop(resource_type)
        else:
            self.pending_provenances[len(self.kept_entries)] = (entry, judgement)
            self.kept_entries.append(None)
