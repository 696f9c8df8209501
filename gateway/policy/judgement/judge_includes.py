"""Lock three for the includes of a page: an include stays only if a visible match explains why it is there.

A FHIR server includes what its matches refer to, also for matches that are dropped here (R4 Search 3.1.1.5.4). Such an
include would reveal that a hidden match exists. Each include was judged by itself before; this check follows the
references that the request asked for, from the kept matches on.
"""

from collections.abc import Iterator, Sequence

from gateway.fhir.matching.included_references import EVERY, Address, ReferenceReader, compile_reference_readers
from gateway.fhir.resources.bundle import BundleEntry
from gateway.fhir.resources.resource import MalformedResourceError, Members, decode_members, read_type_and_id
from gateway.fhir.search.query import Include
from gateway.policy.judgement.verdict import Verdict

_URL = frozenset({"url"})


def drop_unexplained_includes(verdict: Verdict, bases: Sequence[str], includes: Sequence[Include]) -> None:
    """Drop the kept includes that no kept match leads to, and count them as includes.

    A match leads to an entry if one of `includes`, which the request asked for, names the element that refers from one
    to the other. That an element refers to it for which nobody asked is not enough: a hidden match may have brought it.
    An entry that a match leads to leads on by the `includes` that iterate. A reference counts if it is relative, or
    absolute under one of `bases` (without trailing slash). A canonical counts if it is the `url` of an entry.
    """
    graph = _ReferenceGraph(verdict.kept_entries, bases, includes)
    for index in graph.find_unexplained_includes():
        verdict.kept_entries[index] = None
        verdict.record_drop(graph.type_of(index), is_include=True)


class _ReferenceGraph:
    """The kept entries of a page, by index, and the references between them that the request asked for."""

    def __init__(
        self, entries: Sequence[BundleEntry | None], bases: Sequence[str], includes: Sequence[Include]
    ) -> None:
        self._resources: dict[int, Members] = {}
        self._types_and_ids: dict[int, tuple[str, str]] = {}
        self._includes: set[int] = set()
        for index, entry in enumerate(entries):
            if entry is not None and entry.resource is not None and (type_and_id := read_type_and_id(entry.resource)):
                self._resources[index], self._types_and_ids[index] = entry.resource, type_and_id
                if entry.search is not None and entry.search.mode == "include":
                    self._includes.add(index)
        self._bases = bases
        self._forward = [include for include in includes if not include.reverse]
        self._reverse = [include for include in includes if include.reverse]
        self._indexes: dict[Address, list[int]] = {}
        # A match is looked up only if an entry may be there because it refers to a match.
        for index in self._resources if self._reverse else self._includes:
            for target in self._iter_addresses(index):
                self._indexes.setdefault(target, []).append(index)

    def type_of(self, index: int) -> str:
        """The resource type of the entry."""
        return self._types_and_ids[index][0]

    def find_unexplained_includes(self) -> set[int]:
        """The indexes of the includes that no match leads to."""
        unexplained = set(self._includes)
        referrers = self._find_referrers()
        to_visit = [index for index in self._resources if index not in unexplained]
        while unexplained and to_visit:
            index = to_visit.pop()
            is_match = index not in self._includes
            explained = {
                target
                for include in self._forward
                if is_match or include.iterate
                for target in self._find_targets(index, include)
            }
            explained.update(include for include, iterate in referrers.get(index, ()) if is_match or iterate)
            explained &= unexplained
            unexplained -= explained
            to_visit += explained
        return unexplained

    def _find_referrers(self) -> dict[int, list[tuple[int, bool]]]:
        """By entry, the included entries that refer to it as a `_revinclude` asks, and whether that one iterates."""
        referrers: dict[int, list[tuple[int, bool]]] = {}
        for include in self._reverse:
            for index in self._includes:
                for target in self._find_targets(index, include):
                    referrers.setdefault(target, []).append((index, include.iterate))
        return referrers

    def _iter_addresses(self, index: int) -> Iterator[Address]:
        """What refers to the entry: its type and id, and its canonical URL if it has one."""
        yield self._types_and_ids[index]
        if "url" in self._resources[index]:
            url = self._decode(index, _URL).get("url")
            if isinstance(url, str):
                yield url

    def _find_targets(self, index: int, include: Include) -> set[int]:
        """The entries that the entry refers to by the parameter of `include`."""
        resource_type = self.type_of(index)
        if include.source not in (EVERY, resource_type):
            return set()
        return {
            target
            for reader in compile_reference_readers(resource_type, include.parameter)
            for address in self._read(index, reader)
            for target in self._indexes.get(address, ())
            if include.target in (None, self.type_of(target))
            and (not reader.targets or self.type_of(target) in reader.targets)
        }

    def _read(self, index: int, reader: ReferenceReader) -> Iterator[Address]:
        return reader.find_targets(self._decode(index, reader.elements), self._bases)

    def _decode(self, index: int, names: frozenset[str]) -> dict[str, object]:
        """The named members; none if one of them is ambiguous, so that it explains nothing."""
        try:
            return decode_members(self._resources[index], names)
        except MalformedResourceError:
            return {}
