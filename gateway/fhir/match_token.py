"""Whether a code, an identifier or a flag satisfies a token (R4 Search, 'token')."""

from collections.abc import Mapping
from typing import Any

from gateway.fhir.match_value import Test, split, unescape


def token_test(value: str, *, is_id: bool = False, is_contact: bool = False) -> Test:
    """`system|code`, `|code` (no system), `system|` (any code), `code` (any system). Raises `ValueError`.

    Systems, identifiers and ids are compared exactly; codes without case, as clients expect (clients-and-suites 4.7).
    The system of a plain code lies in a binding that is not known here, so a value with a bar never matches one.
    """
    parts = split(value, "|")
    if len(parts) > 2 or not any(parts):
        raise ValueError("a token is code, system|code, |code or system|")
    if len(parts) == 2 and is_contact:
        raise ValueError("servers differ on what the system of a contact point is")
    system = unescape(parts[0]) if len(parts) == 2 else None
    code = unescape(parts[-1])
    folded = code.casefold()

    def is_code(text: Any) -> bool:
        return text == code or (isinstance(text, str) and text.casefold() == folded)

    def matches_coding(coding: Any) -> bool:
        if not isinstance(coding, dict) or (system is not None and coding.get("system") != (system or None)):
            return False
        return not code or is_code(coding.get("code"))

    def matches(one: Any) -> bool:
        if isinstance(one, dict):
            if "coding" in one:
                codings = one["coding"]
                return isinstance(codings, list) and any(map(matches_coding, codings))
            return _matches_identifier(one, system, code) if "value" in one else matches_coding(one)
        if system is not None:
            return False
        if isinstance(one, bool):
            return code == ("true" if one else "false")
        return one == code or (not is_id and is_code(one))

    return lambda values: any(map(matches, values))


def _matches_identifier(value: Mapping[str, Any], system: str | None, code: str) -> bool:
    if system is not None and value.get("system") != (system or None):
        return False
    return not code or value["value"] == code
