"""Resources grown from search-parameter expressions, so that every branch of each expression has something to find.

Where an element leads, and which types a choice has, is taken from fhirpathpy's model of R4, not from the tables that
are under test. Which elements repeat it does not know, so that comes from our table.
"""

import random
import re
from typing import Any

from fhirpathpy.models import models

from gateway.fhir.search_parameters import repeats

_MODEL = models["r4"]
_PIECE = re.compile(r"[A-Za-z]+\((?:[^()]|\(\))*\)|[A-Za-z]+|\[\d+\]")
_CAST = re.compile(r"\(([A-Za-z.]+) as ([A-Za-z]+)\)")

_LEAVES: tuple[Any, ...] = (
    "final",
    "2020-05-01",
    "Patient/A",
    7,
    5.4,
    True,
    False,
    {"system": "http://loinc.org", "code": "1234-5"},
    {"coding": [{"system": "http://loinc.org", "code": "1234-5"}], "text": "a code"},
    {"reference": "Patient/A"},
    {"reference": "https://gw.example/fhir/Patient/A/_history/2"},
    {"reference": "Practitioner/P", "display": "somebody"},
    {"reference": "Group/G"},
    {"reference": "#p"},
    {"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"},
    {"identifier": {"system": "urn:x", "value": "1"}},
    {"value": 5.4, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
    {"start": "2020-01-01", "end": "2020-12-31"},
    {"family": "Chalmers", "given": ["Peter", "James"]},
    {"use": "home", "city": "Graz", "line": ["Hauptplatz 1"]},
)


def grow(expression: str, resource_type: str, seed: int) -> dict[str, Any]:
    """A resource in which every branch of the expression leads somewhere."""
    chance = random.Random(f"{resource_type} {expression} {seed}")
    resource: dict[str, Any] = {"resourceType": resource_type}
    for branch in expression.split(" | "):
        root, *pieces = _PIECE.findall(_CAST.sub(r"\1.as(\2)", branch))
        assert root == resource_type, branch
        _plant(resource, resource_type, pieces, chance, f"{resource_type}.")
    return resource


def _plant(node: dict[str, Any], place: str, pieces: list[str], chance: random.Random, written: str) -> None:
    """`written` is the path as the expression writes it, up to the element that is planted."""
    name, *rest = pieces
    resource_type, _, above = written.partition(".")
    path = f"{place}.{name}"
    path = _MODEL["pathsDefinedElsewhere"].get(path, path)
    types = _MODEL["choiceTypePaths"].get(path, [])
    kind = chance.choice(types) if types else ""
    if types and rest and rest[0].startswith("as(") and chance.random() < 0.7:
        kind = next(one for one in types if one.lower() == rest[0][3:-1].lower())
    for one in types:
        node.pop(name + one, None)
    conditions = []
    while rest and not rest[0].isalpha():
        conditions += re.findall(r"where\((\w+)='([^']*)'\)", rest.pop(0))
    below = kind or _MODEL["path2Type"].get(path, "")
    below = path if below in {"", "BackboneElement", "Element"} else below
    many = repeats(resource_type, above + name)
    count = chance.choice((1, 1, 2, 3)) if many else 1
    found = [_value(below, rest, conditions, chance, f"{written}{name}.") for _ in range(count)]
    node[name + kind] = found if many else found[0]


def _value(place: str, rest: list[str], conditions: list[tuple[str, str]], chance: random.Random, written: str) -> Any:
    if not rest:
        leaf = chance.choice(_LEAVES)
        if not conditions:
            return leaf
        value: dict[str, Any] = dict(leaf) if isinstance(leaf, dict) else {"value": leaf}
    else:
        value = {"id": f"n{chance.randrange(10)}"}
        _plant(value, place, rest, chance, written)
    for field, wanted in conditions:
        value[field] = wanted if chance.random() < 0.7 else "something-else"
    return value
