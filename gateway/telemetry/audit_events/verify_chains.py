"""Verifies chains of AuditEvents: that no record between the first and the last was changed, removed or added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.telemetry.audit_events.chain import key_tag, line_hash, read_link

# Records that may come a second time after a worker was killed: more than are ever handed on at once.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line feed, and where it stands."""

    file: str
    number: int
    text: bytes

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}"


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """The first thing that is wrong, as a sentence."""

    place: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


@dataclass(slots=True)
class VerifiedChain:
    """One chain as far as it was verified. `first` and `last` are the sequences of its records."""

    name: str
    first: int
    last: int
    last_hash: str
    repeated: int = 0
    recent: dict[int, str] = field(default_factory=dict, repr=False)


def verify_chains(
    lines: Iterable[Line], keys: Sequence[bytes], *, partial: bool = False
) -> tuple[list[VerifiedChain], BrokenLink | None]:
    """Verify lines in the order in which they were written. Ends at the first link that is broken.

    Chains of several workers may be mixed. A line that comes again as it was is no fault: each record is handed on at
    least once. `keys` are those of chains that have one. With `partial`, chains may have begun in other files.
    """
    chains: dict[str, VerifiedChain] = {}
    keys_by_tag = {key_tag(key): key for key in keys}
    for line in lines:
        broken = _verify_line(line, chains, keys_by_tag, partial=partial)
        if broken is not None:
            return list(chains.values()), broken
    return list(chains.values()), None


def _verify_line(
    line: Line, chains: dict[str, VerifiedChain], keys_by_tag: dict[str, bytes], *, partial: bool
) -> BrokenLink | None:
    link = read_link(line.text)
    if link is None:
        return BrokenLink(str(line), "this is no record of a chain, or only a part of one")
    name, dash, tag = link.chain.partition("-")
    key = keys_by_tag.get(f"-{tag}") if dash else None
    if dash and key is None:
        return BrokenLink(str(line), f"chain {name} is sealed with a key that was not given")
    own_hash, chain = line_hash(line.text, key), chains.get(link.chain)
    if chain is None:
        chains[link.chain] = VerifiedChain(
            link.chain, link.sequence, link.sequence, own_hash, recent={link.sequence: own_hash}
        )
        if link.sequence == 1 or partial:
            return None
        return BrokenLink(str(line), f"chain {name} begins with record {link.sequence}; earlier ones are missing")
    problem = _problem(chain, link.sequence, link.previous, own_hash)
    if problem is not None:
        return BrokenLink(str(line), f"chain {name}: {problem}")
    if link.sequence <= chain.last:
        chain.repeated += 1
        return None
    chain.last, chain.last_hash = link.sequence, own_hash
    chain.recent[link.sequence] = own_hash
    chain.recent.pop(link.sequence - _REMEMBERED, None)
    return None


def _problem(chain: VerifiedChain, sequence: int, previous: str, own_hash: str) -> str | None:
    if sequence <= chain.last:
        remembered = chain.recent.get(sequence)
        if remembered is None:
            return f"record {sequence} comes after record {chain.last}; give the files in their order, oldest first"
        return None if remembered == own_hash else f"record {sequence} comes twice and is not the same"
    if sequence > chain.last + 1:
        missing = (
            f"record {chain.last + 1} is"
            if sequence == chain.last + 2
            else (f"records {chain.last + 1} to {sequence - 1} are")
        )
        return f"{missing} missing"
    if previous != chain.last_hash:
        return f"record {chain.last} is not as it was written: record {sequence} carries another hash of it"
    return None
