"""Whether a number or a Quantity matches a criterion (R4 Search, 'number' and 'quantity')."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gateway.fhir.matching.value_syntax import ValueTest, split_prefix, split_value, unescape

# R4 describes the precision of `1e2` in two ways, so positive exponents are refused.
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE]-[0-9]{1,2})?")
# The significant digits that R4 requires of a decimal (Data types, 'decimal'). With more, the bounds would be rounded.
_MAX_DIGITS = 18

_Comparison = Callable[[Decimal], bool]


def compile_number_test(value: str) -> ValueTest:
    """Compile a number with a prefix. `ne` must hold for every value. Raises `ValueError`."""
    prefix, holds = _compile_comparison(value)
    return _apply_to_values(prefix, lambda stored: (number := _parse_decimal(stored)) is not None and holds(number))


def compile_quantity_test(value: str) -> ValueTest:
    """Compile `number`, `number|system|code`, or `number||code`, where the code may be the unit. Raises `ValueError`.

    Units are compared, never converted. A stored Quantity with a comparator (`<5`) never matches.
    """
    parts = split_value(value, "|")
    if len(parts) not in {1, 3}:
        raise ValueError("a quantity is number, number|system|code or number||code")
    prefix, holds = _compile_comparison(parts[0])
    system, code = (unescape(parts[1]), unescape(parts[2])) if len(parts) == 3 else ("", "")
    if len(parts) == 3 and not code:
        raise ValueError("a quantity with bars must have a code")

    def matches(quantity: Any) -> bool:
        if not isinstance(quantity, dict) or quantity.get("comparator") is not None:
            return False
        if system and quantity.get("system") != system:
            return False
        if code and code not in (quantity.get("code"), None if system else quantity.get("unit")):
            return False
        number = _parse_decimal(quantity.get("value"))
        return number is not None and holds(number)

    return _apply_to_values(prefix, matches)


def _apply_to_values(prefix: str, matches: Callable[[Any], bool]) -> ValueTest:
    if prefix == "ne":
        return lambda values: bool(values) and all(map(matches, values))
    return lambda values: any(map(matches, values))


def _parse_decimal(value: Any) -> Decimal | None:
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _compile_comparison(value: str) -> tuple[str, _Comparison]:
    """`eq` and `ne` use the precision of the number: 100 means 99.5 up to 100.5. The others use the exact number."""
    prefix, text = split_prefix(value)
    criterion = Decimal(text) if _NUMBER.fullmatch(text) else None
    if criterion is None or len(criterion.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError("the value is not a supported number")
    half_unit = Decimal((0, (5,), int(criterion.as_tuple().exponent) - 1))
    low, high = criterion - half_unit, criterion + half_unit
    tests: dict[str, _Comparison] = {
        "eq": lambda number: low <= number < high,
        "ne": lambda number: not low <= number < high,
        "gt": lambda number: number > criterion,
        "lt": lambda number: number < criterion,
        "ge": lambda number: number >= criterion,
        "le": lambda number: number <= criterion,
        "sa": lambda number: number > criterion,
        "eb": lambda number: number < criterion,
    }
    return prefix, tests[prefix]
