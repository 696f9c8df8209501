"""Generates resources from search parameter expressions, in which every branch of the expression has a value.

Element types and choice types come from fhirpathpy's model of R4, not from the tables under test. That model does not
know which elements repeat, so this comes from the table of the gateway.
"""

import random
import re
from typing import Any

from fhirpathpy.models import models

from gateway.fhir.search_parameters import is_repeating

_MODEL = models["r4"]
_STEP = re.compile(r"[A-Za-z]+\((?:[^()]|\(\))*\)|[A-Za-z]+|\[\d+\]")
_CAST = re.compile(r"\(([A-Za-z.]+) as ([A-Za-z]+)\)")

_LEAF_VALUES: tuple[Any, ...] = (
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


def generate_resource(expression: str, resource_type: str, seed: int) -> dict[str, Any]:
    """Generate a resource in which every branch of the expression has a value."""
    rng = random.Random(f"{resource_type} {expression} {seed}")
    resource: dict[str, Any] = {"resourceType": resource_type}
    for branch in expression.split(" | "):
        root, *steps = _STEP.findall(_CAST.sub(r"\1.as(\2)", branch))
        assert root == resource_type, branch
        _add_element(resource, resource_type, steps, rng, f"{resource_type}.")
    return resource


def _add_element(
    node: dict[str, Any], parent_path: str, steps: list[str], rng: random.Random, expression_prefix: str
) -> None:
    """Add the element of the first step. `expression_prefix` is the path before it, as the expression has it."""
    name, *next_steps = steps
    resource_type, _, parent_expression = expression_prefix.partition(".")
    path = f"{parent_path}.{name}"
    path = _MODEL["pathsDefinedElsewhere"].get(path, path)
    types = _MODEL["choiceTypePaths"].get(path, [])
    choice_type = rng.choice(types) if types else ""
    if types and next_steps and next_steps[0].startswith("as(") and rng.random() < 0.7:
        choice_type = next(name for name in types if name.lower() == next_steps[0][3:-1].lower())
    for suffix in types:
        node.pop(name + suffix, None)
    conditions = []
    while next_steps and not next_steps[0].isalpha():
        conditions += re.findall(r"where\((\w+)='([^']*)'\)", next_steps.pop(0))
    child_path = choice_type or _MODEL["path2Type"].get(path, "")
    child_path = path if child_path in {"", "BackboneElement", "Element"} else child_path
    repeats = is_repeating(resource_type, parent_expression + name)
    count = rng.choice((1, 1, 2, 3)) if repeats else 1
    values = [
        _generate_value(child_path, next_steps, conditions, rng, f"{expression_prefix}{name}.") for _ in range(count)
    ]
    node[name + choice_type] = values if repeats else values[0]


def _generate_value(
    path: str, steps: list[str], conditions: list[tuple[str, str]], rng: random.Random, expression_prefix: str
) -> Any:
    if not steps:
        leaf = rng.choice(_LEAF_VALUES)
        if not conditions:
            return leaf
        value: dict[str, Any] = dict(leaf) if isinstance(leaf, dict) else {"value": leaf}
    else:
        value = {"id": f"n{rng.randrange(10)}"}
        _add_element(value, path, steps, rng, expression_prefix)
    for field, expected in conditions:
        value[field] = expected if rng.random() < 0.7 else "something-else"
    return value
