"""The includes of a page that nothing shown on it accounts for: they tell that something hidden led to them.

A server includes what its matches refer to, whether or not we show those (R4 Search 3.1.1.5.4). Includes are judged by
themselves before; here is asked only whether one can be told from the kept matches, in as many steps as it takes.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from gateway.fhir.bundle import Entry
from gateway.fhir.resource import Members, address_in
from gateway.policy.judge_bundle import Verdict

# `\\` may stand before any octet of a JSON string but its end, so a quotation mark that is found here is a real one.
_REFERENCE = re.compile(rb'"reference"\s*:\s*"([^"\\]*)"')
# A canonical is no Reference but a bare string, which may have a version behind a bar (R4 references.html#canonical).
_STRING = re.compile(rb'"([^"\\|]*(?:\\.[^"\\|]*)*)(?:\|[^"\\]*(?:\\.[^"\\]*)*)?"')
_HISTORY = b"/_history/"
EVERY_TYPE = "*"


def drop_unaccounted(verdict: Verdict, bases: Sequence[str], pointing: Collection[str]) -> None:
    """Drop the kept includes that no kept match leads to, and count them as includes.

    A match leads to what it refers to, and to those that refer to it, if they are of a type in `pointing`: the sources
    of the request's `_revinclude`, `EVERY_TYPE` for all. What it leads to leads on. References count where they are
    relative or absolute under one of `bases` (without trailing slash); canonicals by the `url` of what they name.
    """
    page = _Page(verdict.kept, bases, pointing)
    for place in page.unaccounted():
        verdict.kept[place] = None
        verdict.drop(page.type_of(place), included=True)


class _Page:
    """The kept entries by their places, and how they refer to each other."""

    def __init__(self, kept: Sequence[Entry | None], bases: Sequence[str], pointing: Collection[str]) -> None:
        self._resources: dict[int, Members] = {}
        self._addresses: dict[int, tuple[str, str]] = {}
        self._includes: set[int] = set()
        for place, entry in enumerate(kept):
            if entry is not None and entry.resource is not None and (address := address_in(entry.resource)):
                self._resources[place], self._addresses[place] = entry.resource, address
                if entry.search is not None and entry.search.mode == "include":
                    self._includes.add(place)
        self._bases = bases
        canonical = any("url" in self._resources[place] for place in self._includes)
        self._pattern = _STRING if canonical else _REFERENCE
        self._pointing = [
            place for place in self._includes if EVERY_TYPE in pointing or self.type_of(place) in pointing
        ]
        self._named: dict[bytes, list[int]] = {}
        # A match needs a name only where something could have come for referring to it.
        for place in self._resources if self._pointing else self._includes:
            for name in self._names(place):
                self._named.setdefault(name, []).append(place)

    def type_of(self, place: int) -> str:
        """The resource type of what stands there."""
        return self._addresses[place][0]

    def unaccounted(self) -> set[int]:
        """The includes that no match leads to."""
        waiting = set(self._includes)
        referring: dict[int, list[int]] = {}
        for place in self._pointing:
            for target in self._targets(place):
                referring.setdefault(target, []).append(place)
        reached = [place for place in self._resources if place not in waiting]
        while waiting and reached:
            place = reached.pop()
            led_to = waiting.intersection((*self._targets(place), *referring.get(place, ())))
            waiting -= led_to
            reached += led_to
        return waiting

    def _names(self, place: int) -> Iterator[bytes]:
        """Every text that refers to it."""
        address = "/".join(self._addresses[place])
        yield address.encode()
        for base in self._bases:
            yield f"{base}/{address}".encode()
        url = self._resources[place].get("url")
        # A canonical is absolute: no other word of a record may be taken for one.
        if url is not None and b":" in bytes(url):
            yield _unescaped(bytes(url))[1:-1]

    def _targets(self, place: int) -> set[int]:
        """What it refers to, narrative aside."""
        values = [value for name, value in self._resources[place].items() if name != "text"]
        found = self._pattern.findall(_unescaped(b",".join(values)))
        return {target for text in set(found) for target in self._named.get(text.partition(_HISTORY)[0], ())}


def _unescaped(text: bytes) -> bytes:
    r"""The text with its slashes as they are: some servers write each as `\/`."""
    return text.replace(b"\\/", b"/") if b"\\/" in text else text
