"""Parsing of search keys (names, modifiers, chains, `_has`), checked against R4's definitions (Search 3.1.1.4)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gateway.fhir.query_limits import MAX_CHAIN, MAX_HAS
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.query import ChainLink, ReverseChain, SearchCriterion, SearchKey
from gateway.fhir.search.search_values import check_ids, check_list_syntax, check_value_type
from gateway.fhir.search_parameters import SearchParameter, SearchType, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES

# Criteria that are not defined by type (R4 Search 3.1.1.2, 3.1.1.5.12). They are parsed, so that policy can refuse them
# by name. `_in` is an R5 parameter that several R4 servers support.
SPECIAL_CRITERIA = frozenset({"_content", "_filter", "_in", "_list", "_query", "_text"})

# R4 Search 3.1.1.4.5, 3.1.1.4.14. A reference also takes a type name. Servers ignore other modifiers (hapi.md B2).
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
class ParameterDefinitions:
    """The definitions of R4's search parameters, and of those that the FHIR server has beyond R4.

    `extra_parameters` are the latter, by type and name.
    """

    extra_parameters: Mapping[str, Mapping[str, SearchType]] = field(default_factory=dict)

    def find(self, resource_type: str, name: str) -> SearchParameter | None:
        """The definition, or None. An extra reference parameter may reference any type (no targets)."""
        definition = get_search_parameters(resource_type).get(name)
        if definition is not None or not self.extra_parameters:
            return definition
        search_type = self.extra_parameters.get(resource_type, {}).get(name)
        return None if search_type is None else SearchParameter(name, search_type, "", frozenset())

    def find_all(self, name: str, types: Types, *, on_every_type: bool) -> list[SearchParameter]:
        """The definitions of `name` on `types`.

        With `on_every_type` every type must define it, otherwise at least one. Raises `RequestError`
        (parameter_unknown).
        """
        definitions = [
            definition for resource_type in types if (definition := self.find(resource_type, name)) is not None
        ]
        if not definitions or (on_every_type and len(definitions) < len(types)):
            raise RequestError(RequestProblem.PARAMETER_UNKNOWN, name, "" if name else "A name is missing in a chain.")
        return definitions


def parse_criterion(text: str, value: str, types: Types, definitions: ParameterDefinitions) -> SearchCriterion:
    """Parse one criterion of a search over `types`. Raises `RequestError`."""
    name, colon, _ = text.partition(":")
    if name in SPECIAL_CRITERIA:
        return _parse_special(name, value, has_modifier=bool(colon))
    check_list_syntax(text, value)
    key, search_types = _parse_key_or_has(text, types, definitions, depth=0)
    _check_value_form(text, _get_last_link(key), search_types, value)
    return SearchCriterion(key, value)


def parse_key(
    text: str, types: Types, definitions: ParameterDefinitions, *, on_every_type: bool
) -> tuple[SearchKey, frozenset[SearchType]]:
    """Parse a name or a chain; return it with the search types of its last parameter. Raises `RequestError`."""
    links = tuple(map(_parse_link, text.split(".")))
    if len(links) > MAX_CHAIN:
        raise RequestError(RequestProblem.PARAMETER_INVALID, text, f"A chain may have {MAX_CHAIN} names.")
    *reference_links, last = links
    for link in reference_links:
        types, on_every_type = _resolve_link(link, types, definitions, on_every_type=on_every_type), False
    last_definitions = definitions.find_all(last.name, types, on_every_type=on_every_type)
    if last.name in SPECIAL_CRITERIA:
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, text)
    if last.modifier is not None:
        for definition in last_definitions:
            _check_modifier(last, definition)
    return SearchKey(links), frozenset(definition.type for definition in last_definitions)


def can_target(definition: SearchParameter, resource_type: str) -> bool:
    """Whether a reference parameter can reference that type. One without targets can reference any."""
    return not definition.targets or resource_type in definition.targets


def _parse_link(text: str) -> ChainLink:
    name, colon, modifier = text.partition(":")
    if colon and not modifier:
        raise RequestError(RequestProblem.MODIFIER_UNKNOWN, text, "Nothing follows the colon.")
    return ChainLink(name, modifier or None)


def _resolve_link(link: ChainLink, types: Types, definitions: ParameterDefinitions, *, on_every_type: bool) -> Types:
    """The types that a link of a chain can reference."""
    link_definitions = definitions.find_all(link.name, types, on_every_type=on_every_type)
    if any(definition.type is not SearchType.REFERENCE for definition in link_definitions):
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, str(link), "Only a reference can be chained through.")
    if link.modifier is not None:
        if link.modifier not in RESOURCE_TYPES or not any(
            can_target(definition, link.modifier) for definition in link_definitions
        ):
            raise RequestError(RequestProblem.MODIFIER_UNKNOWN, str(link))
        return (link.modifier,)
    if not all(definition.targets for definition in link_definitions):
        return RESOURCE_TYPES
    return frozenset().union(*(definition.targets for definition in link_definitions))


def _check_modifier(link: ChainLink, definition: SearchParameter) -> None:
    """`_id` takes no modifier, because policy relies on its value to limit the results."""
    modifier = link.modifier or ""
    is_known = modifier in _MODIFIERS[definition.type] and link.name != "_id"
    is_type_name = (
        definition.type is SearchType.REFERENCE and modifier in RESOURCE_TYPES and can_target(definition, modifier)
    )
    if not is_known and not is_type_name:
        raise RequestError(RequestProblem.MODIFIER_UNKNOWN, str(link))


def _parse_key_or_has(
    text: str, types: Types, definitions: ParameterDefinitions, depth: int
) -> tuple[SearchKey | ReverseChain, frozenset[SearchType]]:
    if text.startswith("_has:"):
        return _parse_has(text, types, definitions, depth + 1)
    return parse_key(text, types, definitions, on_every_type=True)


def _parse_has(
    text: str, types: Types, definitions: ParameterDefinitions, depth: int
) -> tuple[SearchKey | ReverseChain, frozenset[SearchType]]:
    """`_has:[type]:[reference]:[key]`, where the key may be another `_has` (R4 Search 3.1.1.4.16)."""
    if depth > MAX_HAS:
        raise RequestError(RequestProblem.PARAMETER_INVALID, text, f"_has may be nested {MAX_HAS} deep.")
    parts = text.split(":", 3)
    if len(parts) < 4:
        raise RequestError(RequestProblem.PARAMETER_INVALID, text, "It is written as _has:type:reference:parameter.")
    _, resource_type, reference_parameter, key_text = parts
    if resource_type not in RESOURCE_TYPES:
        raise RequestError(RequestProblem.PARAMETER_INVALID, text, "The name after _has: is no resource type.")
    definition = definitions.find(resource_type, reference_parameter)
    if definition is None or definition.type is not SearchType.REFERENCE:
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, text, f"{resource_type} has no such reference parameter.")
    if not any(can_target(definition, searched_type) for searched_type in types):
        raise RequestError(
            RequestProblem.PARAMETER_UNKNOWN, text, f"{resource_type}.{reference_parameter} does not point here."
        )
    key, search_types = _parse_key_or_has(key_text, (resource_type,), definitions, depth)
    return ReverseChain(resource_type, reference_parameter, key), search_types


def _parse_special(name: str, value: str, *, has_modifier: bool) -> SearchCriterion:
    if has_modifier:
        raise RequestError(RequestProblem.MODIFIER_UNKNOWN, name, "It takes no modifier.")
    return SearchCriterion(SearchKey((ChainLink(name),)), value)


def _get_last_link(key: SearchKey | ReverseChain) -> ChainLink:
    while isinstance(key, ReverseChain):
        key = key.key
    return key.links[-1]


def _check_value_form(text: str, link: ChainLink, search_types: frozenset[SearchType], value: str) -> None:
    if link.modifier == "missing":
        if value not in {"true", "false"}:
            raise RequestError(RequestProblem.PARAMETER_INVALID, text, "It is true or false.")
    elif link.name == "_id":
        check_ids(text, value)
    elif link.modifier is None or link.modifier in RESOURCE_TYPES:
        check_value_type(text, search_types, value)
