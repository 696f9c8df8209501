"""The values of the chart: each is in the schema with a default, used by a template, and nothing else is let in."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts.chart_files import CHART, FILES, ROOT
from tests.chart.values import problems, read_values, schema

# Objects of Kubernetes itself, which it checks; and what Helm sets for a chart that has this one as a part.
_OPEN = {"kubernetes", "global"}
# Settings that are JSON of another standard: a JWK Set.
_JSON = {"jwks/anyOf/0"}
# Values that a template copies as a whole.
_COPIED = {"#/$defs/resources", "#/$defs/probe"}


def test_what_the_chart_has_from_the_project_is_current() -> None:
    for file, content in FILES.items():
        assert file.read_text() == content(), f"{file.name} differs; run: python -m scripts.chart_files"


def test_the_chart_and_its_gateway_have_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("names", [("values-hapi.yaml",), *[(f"ci/{file.name}",) for file in CHART.glob("ci/*.yaml")]])
def test_the_values_that_come_with_the_chart_are_valid(names: tuple[str, ...]) -> None:
    assert problems(read_values(*names)) == []


def test_the_chart_asks_for_what_has_no_default() -> None:
    values = read_values()
    del values["config"]["public_base_url"]
    assert "$.config: 'public_base_url' is a required property" in problems(values)
    assert "$.config: 'upstream' is a required property" in problems(values)


def _objects(part: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        if part.get("type") == "object" and path.rpartition("/")[2] not in _OPEN:
            yield path, part
        for name, member in part.items():
            yield from _objects(member, f"{path}/{name}")
    elif isinstance(part, list):
        for index, item in enumerate(part):
            yield from _objects(item, f"{path}/{index}")


def test_no_group_of_values_lets_in_a_name_that_is_not_known() -> None:
    for path, group in _objects(schema(), ""):
        closed = group.get("additionalProperties") is False
        texts = isinstance(group.get("additionalProperties"), dict) or "patternProperties" in group
        assert closed or texts or path.rpartition("/properties/")[2] in _JSON, f"{path} lets in any name"


def _paths(group: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The values of the schema, without those of `config`, with the groups that stand in `$defs`."""
    for name, member in group.get("properties", {}).items():
        definition = schema()["$defs"].get(member.get("$ref", "").rpartition("/")[2], member)
        if name == "config" or (not prefix and name == "global"):
            continue
        if "properties" in definition and member.get("$ref") not in _COPIED:
            yield from _paths(definition, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_value_has_a_default() -> None:
    values = read_values()
    for path in _paths(schema()):
        group: Any = values
        for name in path.split("."):
            assert name in group, f"values.yaml has no {path}"
            group = group[name]


def test_every_value_is_used_and_every_used_one_is_known() -> None:
    text = "".join(file.read_text() for file in sorted(CHART.glob("templates/**/*")) if file.is_file())
    used = set(re.findall(r"\.Values\.([A-Za-z.]+)", text))
    known = set(_paths(schema()))
    groups = {path[: match.start()] for path in known for match in re.finditer(r"\.", path)}
    of_the_chart = {path for path in used if not path.startswith("config")}
    unknown = {path for path in of_the_chart - groups if not _is_below(path, known)}
    assert unknown == set(), "templates use values that the schema does not know"
    names = set(re.findall(r"\.([A-Za-z]+)", text))
    assert {path for path in known if path.rpartition(".")[2] not in names} == set()


def _is_below(path: str, known: set[str]) -> bool:
    return any(path == one or path.startswith(f"{one}.") for one in known)


def test_the_folder_of_the_chart_has_what_its_ignore_file_names() -> None:
    ignored = [line for line in (CHART / ".helmignore").read_text().splitlines() if line.endswith("/")]
    assert all((CHART / name.strip("/")).is_dir() for name in ignored)
