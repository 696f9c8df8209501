"""Search keys: plain names, modifiers, chains and `_has`, checked against the definitions of R4 (Search 3.1.1.4)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.fhir.problems import Problem, RequestError
from gateway.fhir.query import Filter, Has, Hop, Key
from gateway.fhir.search_parameters import SearchParameter, SearchType, parameters_of
from gateway.fhir.search_values import check_ids, check_typed, check_value
from gateway.scopes.resource_types import RESOURCE_TYPES

MAX_CHAIN = 5
MAX_HAS = 3

# Criteria that are no parameter of a type (R4 Search 3.1.1.2, 3.1.1.5.12). They parse, so that policy refuses them
# by name; `_in` is of R5 and known to several R4 servers.
SPECIAL_FILTERS = frozenset({"_content", "_filter", "_in", "_list", "_query", "_text"})

# R4 Search 3.1.1.4.5, 3.1.1.4.14. A reference takes a type name besides. On others servers ignore them (hapi.md B2).
_MODIFIERS: Mapping[SearchType, frozenset[str]] = {
    SearchType.STRING: frozenset({"missing", "exact", "contains"}),
    SearchType.TOKEN: frozenset({"missing", "text", "not", "in", "not-in", "above", "below", "of-type"}),
    SearchType.REFERENCE: frozenset({"missing", "identifier", "above", "below"}),
    SearchType.URI: frozenset({"missing", "above", "below"}),
    SearchType.DATE: frozenset({"missing"}),
    SearchType.NUMBER: frozenset({"missing"}),
    SearchType.QUANTITY: frozenset({"missing"}),
    SearchType.COMPOSITE: frozenset(),
    SearchType.SPECIAL: frozenset(),
}

Types = Collection[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The search parameters that exist: those of R4, and `extra`, by type and name, that the upstream has besides."""

    extra: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)

    def find(self, resource_type: str, name: str) -> SearchParameter | None:
        """The definition, or None. An extra reference parameter may point at any type (no targets)."""
        known = parameters_of(resource_type).get(name)
        if known is not None or not self.extra:
            return known
        kind = self.extra.get(resource_type, {}).get(name)
        return None if kind is None else SearchParameter(name, kind, "", frozenset())

    def definitions(self, name: str, types: Types, *, of_all: bool) -> list[SearchParameter]:
        """The definitions of `name` on `types`: on each of them, or (not `of_all`) on at least one.

        Raises `RequestError` (parameter_unknown).
        """
        found = [one for resource_type in types if (one := self.find(resource_type, name)) is not None]
        if not found or (of_all and len(found) < len(types)):
            raise RequestError(Problem.PARAMETER_UNKNOWN, name, "" if name else "A name is missing in a chain.")
        return found


def parse_filter(text: str, value: str, types: Types, vocabulary: Vocabulary) -> Filter:
    """One criterion of a search over `types`. Raises `RequestError`."""
    name, colon, _ = text.partition(":")
    if name in SPECIAL_FILTERS:
        return _parse_special(name, value, modified=bool(colon))
    check_value(text, value)
    key, kinds = _parse_any(text, types, vocabulary, depth=0)
    _check_by_modifier(text, _last_hop(key), kinds, value)
    return Filter(key, value)


def parse_key(text: str, types: Types, vocabulary: Vocabulary, *, of_all: bool) -> tuple[Key, frozenset[SearchType]]:
    """A plain key or a chain, and the types that its last parameter has. Raises `RequestError`."""
    hops = tuple(map(_parse_hop, text.split(".")))
    if len(hops) > MAX_CHAIN:
        raise RequestError(Problem.PARAMETER_INVALID, text, f"A chain may have {MAX_CHAIN} names.")
    *links, last = hops
    for link in links:
        types, of_all = _follow(link, types, vocabulary, of_all=of_all), False
    definitions = vocabulary.definitions(last.name, types, of_all=of_all)
    if last.name in SPECIAL_FILTERS:
        raise RequestError(Problem.PARAMETER_UNKNOWN, text)
    if last.modifier is not None:
        for definition in definitions:
            _check_modifier(last, definition)
    return Key(hops), frozenset(one.type for one in definitions)


def leads_to(definition: SearchParameter, resource_type: str) -> bool:
    """Whether a reference parameter can point at that type; one without targets can point at any."""
    return not definition.targets or resource_type in definition.targets


def _parse_hop(text: str) -> Hop:
    name, colon, modifier = text.partition(":")
    if colon and not modifier:
        raise RequestError(Problem.MODIFIER_UNKNOWN, text, "Nothing follows the colon.")
    return Hop(name, modifier or None)


def _follow(link: Hop, types: Types, vocabulary: Vocabulary, *, of_all: bool) -> Types:
    """The types that a link of a chain leads to."""
    definitions = vocabulary.definitions(link.name, types, of_all=of_all)
    if any(one.type is not SearchType.REFERENCE for one in definitions):
        raise RequestError(Problem.PARAMETER_UNKNOWN, str(link), "Only a reference can be chained through.")
    if link.modifier is not None:
        if link.modifier not in RESOURCE_TYPES or not any(leads_to(one, link.modifier) for one in definitions):
            raise RequestError(Problem.MODIFIER_UNKNOWN, str(link))
        return (link.modifier,)
    if not all(one.targets for one in definitions):
        return RESOURCE_TYPES
    return frozenset().union(*(one.targets for one in definitions))


def _check_modifier(hop: Hop, definition: SearchParameter) -> None:
    """`_id` takes none: what it names bounds what may come back."""
    modifier = hop.modifier or ""
    known = modifier in _MODIFIERS[definition.type] and hop.name != "_id"
    typed = definition.type is SearchType.REFERENCE and modifier in RESOURCE_TYPES and leads_to(definition, modifier)
    if not known and not typed:
        raise RequestError(Problem.MODIFIER_UNKNOWN, str(hop))


def _parse_any(text: str, types: Types, vocabulary: Vocabulary, depth: int) -> tuple[Key | Has, frozenset[SearchType]]:
    if text.startswith("_has:"):
        return _parse_has(text, types, vocabulary, depth + 1)
    return parse_key(text, types, vocabulary, of_all=True)


def _parse_has(text: str, types: Types, vocabulary: Vocabulary, depth: int) -> tuple[Key | Has, frozenset[SearchType]]:
    """`_has:[type]:[reference]:[key]`, where the key may be another (R4 Search 3.1.1.4.16)."""
    if depth > MAX_HAS:
        raise RequestError(Problem.PARAMETER_INVALID, text, f"_has may be nested {MAX_HAS} deep.")
    parts = text.split(":", 3)
    if len(parts) < 4:
        raise RequestError(Problem.PARAMETER_INVALID, text, "It is written as _has:type:reference:parameter.")
    _, resource_type, reference, rest = parts
    if resource_type not in RESOURCE_TYPES:
        raise RequestError(Problem.PARAMETER_INVALID, text, "The name after _has: is no resource type.")
    definition = vocabulary.find(resource_type, reference)
    if definition is None or definition.type is not SearchType.REFERENCE:
        raise RequestError(Problem.PARAMETER_UNKNOWN, text, f"{resource_type} has no such reference parameter.")
    if not any(leads_to(definition, one) for one in types):
        raise RequestError(Problem.PARAMETER_UNKNOWN, text, f"{resource_type}.{reference} does not point here.")
    key, kinds = _parse_any(rest, (resource_type,), vocabulary, depth)
    return Has(resource_type, reference, key), kinds


def _parse_special(name: str, value: str, *, modified: bool) -> Filter:
    if modified:
        raise RequestError(Problem.MODIFIER_UNKNOWN, name, "It takes no modifier.")
    return Filter(Key((Hop(name),)), value)


def _last_hop(key: Key | Has) -> Hop:
    while isinstance(key, Has):
        key = key.key
    return key.hops[-1]


def _check_by_modifier(text: str, last: Hop, kinds: frozenset[SearchType], value: str) -> None:
    if last.modifier == "missing":
        if value not in {"true", "false"}:
            raise RequestError(Problem.PARAMETER_INVALID, text, "It is true or false.")
    elif last.name == "_id":
        check_ids(text, value)
    elif last.modifier is None or last.modifier in RESOURCE_TYPES:
        check_typed(text, kinds, value)
