"""Settings of operations: entries that change the shipped manifest, add to it, or switch something off."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import yaml
from pydantic import AfterValidator, TypeAdapter

from gateway.fhir.request.interaction import OperationLevel
from gateway.policy.permission.operation_rule import OperationAddress, OperationRule
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.settings.enforcement.operation_entry import OperationEntry
from gateway.settings.enforcement.operation_words import OperationWordError, compile_operation
from gateway.settings.section import Conflict

_ADDRESS = re.compile(
    r"(?:(?P<type>\[type\]|[A-Za-z]+)/)?(?P<instance>\[id\]/)?\$(?P<name>[A-Za-z][A-Za-z0-9\-._]{0,63})"
)
# What no rule of a manifest can hold to its promise, and what the gateway has another place for.
_NEVER = MappingProxyType(
    {
        "graphql": "answers with what is no FHIR resource, so that nothing of it can be verified",
        "process-message": "does what a message says, which no rule foresees",
        "import": "writes what nothing of has been verified",
        "export": "is not an entry of the manifest: bulk_export has the settings of exports",
    }
)


def _check_address(value: str) -> str:
    parse_address(value)
    return value


def parse_address(text: str) -> OperationAddress:
    """`Patient/[id]/$everything`, `[type]/$validate` or `$name`. Raises `ValueError`."""
    match = _ADDRESS.fullmatch(text)
    if match is None or (match["instance"] and not match["type"]):
        raise ValueError("must be written as Patient/[id]/$name, Patient/$name, [type]/$name or $name")
    resource_type = None if match["type"] in (None, "[type]") else match["type"]
    if resource_type is not None and resource_type not in RESOURCE_TYPES:
        raise ValueError(f"must name a resource type of FHIR R4, and {resource_type!r} is none")
    if match["type"] is None:
        return OperationAddress(OperationLevel.SYSTEM, None, match["name"])
    level = OperationLevel.INSTANCE if match["instance"] else OperationLevel.TYPE
    return OperationAddress(level, resource_type, match["name"])


OperationAddressText = Annotated[str, AfterValidator(_check_address)]
OperationEntries = Mapping[OperationAddressText, OperationEntry]


@cache
def shipped_operations() -> Mapping[str, OperationEntry]:
    """The manifest that ships with the gateway, `operations.yaml`."""
    text = Path(__file__).with_name("operations.yaml").read_text(encoding="utf-8")
    return TypeAdapter(OperationEntries).validate_python(yaml.safe_load(text))


def operation_rules(entries: Mapping[str, OperationEntry]) -> Mapping[OperationAddress, OperationRule]:
    """The rules of the whole manifest. `entries` have no conflicts."""
    return MappingProxyType(
        {rule.address: rule for rule in (_compile(text, entry) for text, entry in _merge(entries).items())}
    )


def operation_conflicts(entries: Mapping[str, OperationEntry]) -> Iterator[Conflict]:
    """What is wrong with the entries of the operator."""
    merged = _merge(entries)
    for text in entries:
        address = parse_address(text)
        if address.name in _NEVER:
            yield Conflict(("operations", text), f"cannot be let through: it {_NEVER[address.name]}")
            continue
        try:
            _compile(text, merged[text])
        except OperationWordError as error:
            yield Conflict(("operations", text, *error.path), error.sentence)


def _merge(entries: Mapping[str, OperationEntry]) -> Mapping[str, OperationEntry]:
    shipped = shipped_operations()
    return {**shipped, **{text: entry.over(_find_shipped(text, shipped)) for text, entry in entries.items()}}


def _find_shipped(text: str, shipped: Mapping[str, OperationEntry]) -> OperationEntry | None:
    """The shipped entry for the type itself, or the one for every type."""
    address = parse_address(text)
    return shipped.get(text) or shipped.get(str(replace(address, resource_type=None)))


def _compile(text: str, entry: OperationEntry) -> OperationRule:
    return compile_operation(parse_address(text), entry)
