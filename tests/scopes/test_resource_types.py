"""The list of resource types is that of R4, compared with the model of fhirpathpy, made from HL7's definitions."""

import json
from pathlib import Path

import fhirpathpy.models
import pytest

from gateway.scopes import resource_types
from gateway.scopes.resource_types import RESOURCE_TYPES

PARENTS = json.loads(
    Path(fhirpathpy.models.__file__).with_name("r4").joinpath("type2Parent.json").read_text(encoding="utf-8")
)


@pytest.mark.requirement("G-10")
def test_the_types_are_those_that_descend_from_resource_without_the_abstract_ones() -> None:
    assert {name for name, parent in PARENTS.items() if parent in {"Resource", "DomainResource"}} == (
        RESOURCE_TYPES | {"DomainResource"}
    )
    assert "Resource" not in RESOURCE_TYPES


def test_the_file_is_sorted_and_names_each_once() -> None:
    lines = Path(resource_types.__file__).with_suffix(".txt").read_text(encoding="ascii").splitlines()
    assert lines == sorted(set(lines))
    assert len(lines) == 146
