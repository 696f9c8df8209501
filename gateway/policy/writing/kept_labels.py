"""Labels that a write leaves as they are, because others are limited by them (R4 security-labels.html)."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.policy.permission.grant import Grant
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.policy.permission.unit import Unit
from gateway.policy.writing.written_state import limiting_labels


def keeps_rule_labels(stored: Mapping[str, Any], new: Mapping[str, Any], grant: Grant) -> bool:
    """Whether the labels that record rules name are the same before and after."""
    return all(rule.find_labels(stored) == rule.find_labels(new) for rule in _binding_rules(grant))


def has_kept_labels(units: Iterable[Unit], grant: Grant) -> bool:
    """Whether any label has to stay as it is."""
    return bool(_binding_rules(grant)) or any(limiting_labels(unit) for unit in units)


def carry_labels(
    new: Mapping[str, Any], stored: Mapping[str, Any], units: Iterable[Unit], grant: Grant
) -> dict[str, Any]:
    """The new state with the labels of the stored one that have to stay.

    This is for a record that the token may not read, of which a refusal would tell the labels. Those of what it
    contained become its own: that takes away from what others see, and never adds.
    """
    kept: dict[str, list[Any]] = {}
    for element in sorted({name for unit in units for name in limiting_labels(unit)}):
        kept[element] = _list_labels(stored.get("meta"), element)
    for rule in _binding_rules(grant):
        security = kept.setdefault("security", _list_labels(new.get("meta"), "security"))
        for label in rule.list_labels(stored):
            if label not in security:
                security.append(label)
    own = new.get("meta")
    meta = {**(own if isinstance(own, dict) else {}), **kept}
    meta = {name: value for name, value in meta.items() if value != []}
    rest = {name: value for name, value in new.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def _binding_rules(grant: Grant) -> tuple[SecurityLabelRule, ...]:
    """The rules of labels that this token may not change."""
    rules = grant.rules.record_rules
    if not rules:
        return ()
    return tuple(rule for rule in rules if isinstance(rule, SecurityLabelRule) and not rule.lets_change(grant.access))


def _list_labels(meta: Any, element: str) -> list[Any]:
    labels = meta.get(element) if isinstance(meta, dict) else None
    return list(labels) if isinstance(labels, list) else []
