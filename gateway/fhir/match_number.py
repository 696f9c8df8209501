"""Whether a number or a quantity lies where a criterion asks (R4 Search, 'number' and 'quantity')."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gateway.fhir.match_value import Test, prefixed, split, unescape

# What `1e2` means to the digit R4 tells in two ways, so a positive exponent is refused.
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE]-[0-9]{1,2})?")
# As many as R4 asks of a decimal (Data types, 'decimal'); with more, the bounds below would be rounded.
_SIGNIFICANT = 18

_Holds = Callable[[Decimal], bool]


def number_test(value: str) -> Test:
    """A number with a prefix; `ne` must hold for every value. Raises `ValueError`."""
    prefix, holds = _comparison(value)
    return _over_all(prefix, lambda one: (number := _decimal(one)) is not None and holds(number))


def quantity_test(value: str) -> Test:
    """`number`, `number|system|code`, or `number||code` where the code may be the unit. Raises `ValueError`.

    Units are compared, never converted. A stored quantity with a comparator (`<5`) is no number and never matches.
    """
    parts = split(value, "|")
    if len(parts) not in {1, 3}:
        raise ValueError("a quantity is number, number|system|code or number||code")
    prefix, holds = _comparison(parts[0])
    system, code = (unescape(parts[1]), unescape(parts[2])) if len(parts) == 3 else ("", "")
    if len(parts) == 3 and not code:
        raise ValueError("a quantity with bars names a code")

    def matches(one: Any) -> bool:
        if not isinstance(one, dict) or one.get("comparator") is not None:
            return False
        if system and one.get("system") != system:
            return False
        if code and code not in (one.get("code"), None if system else one.get("unit")):
            return False
        number = _decimal(one.get("value"))
        return number is not None and holds(number)

    return _over_all(prefix, matches)


def _over_all(prefix: str, matches: Callable[[Any], bool]) -> Test:
    if prefix == "ne":
        return lambda values: bool(values) and all(map(matches, values))
    return lambda values: any(map(matches, values))


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _comparison(value: str) -> tuple[str, _Holds]:
    """`eq` and `ne` go by the precision written: 100 means 99.5 up to 100.5. The others take the number as exact."""
    prefix, text = prefixed(value)
    asked = Decimal(text) if _NUMBER.fullmatch(text) else None
    if asked is None or len(asked.as_tuple().digits) > _SIGNIFICANT:
        raise ValueError("the value is not a number that is judged here")
    half = Decimal((0, (5,), int(asked.as_tuple().exponent) - 1))
    low, high = asked - half, asked + half
    tests: dict[str, _Holds] = {
        "eq": lambda number: low <= number < high,
        "ne": lambda number: not low <= number < high,
        "gt": lambda number: number > asked,
        "lt": lambda number: number < asked,
        "ge": lambda number: number >= asked,
        "le": lambda number: number <= asked,
        "sa": lambda number: number > asked,
        "eb": lambda number: number < asked,
    }
    return prefix, tests[prefix]
