"""Whether the licence of a package is one of requirements/licences.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing
from packaging.utils import canonicalize_name

from scripts.install_once import ROOT

_RULES = ROOT / "requirements" / "licences.yaml"
_SPDX = get_spdx_licensing()


@dataclass(frozen=True, slots=True)
class Clarification:
    """What the metadata of a package says in other words than SPDX, and which licence its files have."""

    declared: tuple[str, ...]
    licence: str


@dataclass(frozen=True, slots=True)
class LicenceRules:
    """The licences that are allowed, by their SPDX ids, and the packages that had to be read."""

    allowed: frozenset[str]
    clarified: Mapping[str, Clarification]


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a package as an SPDX expression, and what is wrong with it."""

    expression: str
    problems: tuple[str, ...] = ()


def read_rules() -> LicenceRules:
    """The rules of requirements/licences.yaml."""
    document = yaml.safe_load(_RULES.read_text(encoding="utf-8"))
    clarified = {
        name: Clarification(tuple(entry["declared"]), entry["licence"]) for name, entry in document["clarified"].items()
    }
    return LicenceRules(frozenset(document["allowed"]), clarified)


def licence_of(component: Mapping[str, Any], rules: LicenceRules) -> Licence:
    """The licence of a component of an SBOM, judged."""
    name = canonicalize_name(component["name"])
    declared = tuple(sorted(_declared(entry) for entry in component.get("licenses", ())))
    clarification = rules.clarified.get(name)
    if clarification is not None and clarification.declared == declared:
        expression = clarification.licence
    elif len(declared) == 1:
        expression = declared[0]
    else:
        expression = " AND ".join(f"({one})" for one in declared)
    return Licence(expression, tuple(_problems(name, declared, expression, rules)))


def _declared(entry: Mapping[str, Any]) -> str:
    licence = entry.get("license", {})
    return str(entry.get("expression") or licence.get("id") or licence["name"])


def _problems(name: str, declared: tuple[str, ...], expression: str, rules: LicenceRules) -> list[str]:
    try:
        parsed = _SPDX.parse(expression, validate=True)
    except ExpressionError:
        parsed = None
    if parsed is None:
        said = ", ".join(declared) or "no licence"
        return [
            f"{name}: declares {said}, which is no SPDX expression: read its licence files, and add it to "
            "`clarified` of requirements/licences.yaml"
        ]
    if not is_allowed(parsed, rules.allowed):
        return [f"{name}: {expression} is not allowed by requirements/licences.yaml"]
    return []


def is_allowed(expression: LicenseExpression, allowed: frozenset[str]) -> bool:
    """Whether all licences of an AND, and one of an OR, are allowed. An exception (WITH) is a licence of its own."""
    match expression:
        case _SPDX.AND():
            return all(is_allowed(part, allowed) for part in expression.args)
        case _SPDX.OR():
            return any(is_allowed(part, allowed) for part in expression.args)
        case _:
            return str(expression) in allowed
