"""Stand-ins for ids and values: of the same form, so that they are read alike, and equal where the originals are."""

import re
from collections.abc import Collection, Iterable, Mapping

from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.fhir.request_error import RequestError
from gateway.fhir.search.query import ReverseChain, SearchCriterion, SearchKey
from gateway.fhir.search.search_keys import SPECIAL_CRITERIA, ParameterDefinitions, parse_key
from gateway.fhir.search_parameters import SearchType
from gateway.scopes.constraint_value_syntax import split_alternatives
from gateway.scopes.resource_types import RESOURCE_TYPES

# A longer list is cut: decisions ask whether there is one, or what all of it has in common.
_MAX_ALTERNATIVES = 3
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]+(Z|[+-][0-9:]+)?)?)?)?")
_DATES = {4: "2000", 7: "2000-01", 10: "2000-01-01"}
# They are read as words of the language of searches, whatever they are about.
_WORDS = frozenset({"true", "false"})
_TYPE_PRECEDENCE = (SearchType.DATE, SearchType.NUMBER, SearchType.QUANTITY, SearchType.REFERENCE, SearchType.URI)


class StandIns:
    """The stand-ins of one request. `bases` are the base URLs of references; `kept` are values that stay as they are.

    Only the order of their occurrence is in them. An HMAC of an id could be compared between requests; a stand-in
    cannot, and many requests have the same one, which is then written once.
    """

    def __init__(self, bases: Collection[str], kept: Iterable[str] = ()) -> None:
        self._bases = tuple(bases)
        self._ids: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self.kept = set(kept)

    @property
    def ids(self) -> Mapping[str, str]:
        """The ids that occurred, with their stand-ins."""
        return self._ids

    def id(self, text: str) -> str:
        """The stand-in of an id."""
        return self._ids.setdefault(text, f"id-{len(self._ids) + 1}")

    def value(self, text: str) -> str:
        """The stand-in of any text."""
        if text in self.kept or text in _WORDS or not text:
            return text
        return self._values.setdefault(text, f"value-{len(self._values) + 1}")

    def uri(self, text: str) -> str:
        """The stand-in of a URI."""
        return text if text in self.kept else f"urn:{self.value(text)}"

    def coded(self, text: str) -> str:
        """The stand-in of `system|code`, or of more parts: each is replaced by itself, and an empty one stays empty."""
        return text if text in self.kept else "|".join(map(self.value, text.split("|")))

    def reference(self, text: str) -> str:
        """The stand-in of a reference or an id. One that is not below a base is a URI."""
        reference = parse_reference(text, self._bases)
        if reference is not None and reference.resource_type in RESOURCE_TYPES:
            version = "" if reference.version_id is None else f"/_history/{self.id(reference.version_id)}"
            return f"{reference.resource_type}/{self.id(reference.id)}{version}"
        return self.id(text) if ID_PATTERN.fullmatch(text) else self.uri(text)

    def criterion(
        self, criterion: SearchCriterion, types: Collection[str], definitions: ParameterDefinitions
    ) -> SearchCriterion:
        """The criterion of a search over `types` with a stand-in for each of its alternatives."""
        search_types = find_search_types(criterion.key, types, definitions)
        name, modifier = _last_link(criterion.key)
        return SearchCriterion(criterion.key, self.alternatives(criterion.value, name, modifier, search_types))

    def alternatives(self, value: str, name: str, modifier: str | None, search_types: Collection[SearchType]) -> str:
        """The stand-ins of a value of a parameter with these types, with its commas."""
        parts = [self._typed(part, name, modifier, search_types) for part in split_alternatives(value)]
        return ",".join(tuple(dict.fromkeys(parts))[:_MAX_ALTERNATIVES])

    def _typed(self, text: str, name: str, modifier: str | None, search_types: Collection[SearchType]) -> str:
        if name == "_id":
            return self.id(text)
        search_type = next((one for one in _TYPE_PRECEDENCE if one in search_types), SearchType.TOKEN)
        if modifier is not None and modifier not in RESOURCE_TYPES:
            return self.coded(text)
        match search_type:
            case SearchType.DATE:
                return hide_date(text)
            case SearchType.NUMBER | SearchType.QUANTITY:
                return self._hide_quantity(text)
            case SearchType.REFERENCE:
                return self.reference(text)
            case SearchType.URI:
                return self.uri(text)
            case _:
                return self.coded(text)

    def _hide_quantity(self, text: str) -> str:
        number, bar, unit = text.partition("|")
        match = _PREFIXED.fullmatch(number)
        prefix = match[1] or "" if match is not None else ""
        return f"{prefix}1{bar}{self.coded(unit) if unit else ''}"


def hide_date(text: str) -> str:
    """A date or time of the same precision, with its prefix: the same one for all."""
    match = _PREFIXED.fullmatch(text)
    prefix, date = (match[1] or "", match[2]) if match is not None else ("", text)
    form = _DATE.fullmatch(date)
    if form is None:
        return "value"
    return prefix + _DATES.get(len(date), "2000-01-01T00:00:00" + ("Z" if form[1] else ""))


def hide_number(text: str) -> str:
    """Zero, another whole number, or no number at all."""
    if not text.isdigit():
        return "1.5" if _NUMBER.fullmatch(text) else "value"
    return "1" if int(text) else "0"


def find_search_types(
    key: SearchKey | ReverseChain, types: Collection[str], definitions: ParameterDefinitions
) -> frozenset[SearchType]:
    """The types of the last parameter of a key; empty where there is no definition."""
    while isinstance(key, ReverseChain):
        types = (key.resource_type,)
        key = key.key
    if key.links[0].name in SPECIAL_CRITERIA:
        return frozenset()
    if len(key.links) == 1:
        found = (definitions.find(resource_type, key.links[0].name) for resource_type in types)
        return frozenset(definition.type for definition in found if definition is not None)
    try:
        return parse_key(str(key), types, definitions, on_every_type=False)[1]
    except RequestError:
        return frozenset()


def _last_link(key: SearchKey | ReverseChain) -> tuple[str, str | None]:
    while isinstance(key, ReverseChain):
        key = key.key
    return key.links[-1].name, key.links[-1].modifier
