"""Whether a code, an Identifier or a boolean matches a token criterion (R4 Search, 'token')."""

from collections.abc import Mapping
from typing import Any

from gateway.fhir.matching.value_syntax import ValueTest, split_value, unescape


def compile_token_test(value: str, *, is_id: bool = False, is_contact: bool = False) -> ValueTest:
    """Compile `system|code`, `|code` (no system), `system|` (any code) or `code` (any system). Raises `ValueError`.

    Systems, identifiers and ids are compared exactly, codes without case, as clients expect (clients-and-suites 4.7).
    The system of a plain `code` element is defined by a binding that is not known here, so `system|code` never matches
    one.
    """
    parts = split_value(value, "|")
    if len(parts) > 2 or not any(parts):
        raise ValueError("a token is code, system|code, |code or system|")
    if len(parts) == 2 and is_contact:
        raise ValueError("servers interpret the system of a contact point differently")
    system = unescape(parts[0]) if len(parts) == 2 else None
    code = unescape(parts[-1])
    folded_code = code.casefold()

    def is_code(text: Any) -> bool:
        return text == code or (isinstance(text, str) and text.casefold() == folded_code)

    def matches_coding(coding: Any) -> bool:
        if not isinstance(coding, dict) or (system is not None and coding.get("system") != (system or None)):
            return False
        return not code or is_code(coding.get("code"))

    def matches(stored: Any) -> bool:
        if isinstance(stored, dict):
            if "coding" in stored:
                codings = stored["coding"]
                return isinstance(codings, list) and any(map(matches_coding, codings))
            return _matches_identifier(stored, system, code) if "value" in stored else matches_coding(stored)
        if system is not None:
            return False
        if isinstance(stored, bool):
            return code == ("true" if stored else "false")
        return stored == code or (not is_id and is_code(stored))

    return lambda values: any(map(matches, values))


def _matches_identifier(value: Mapping[str, Any], system: str | None, code: str) -> bool:
    if system is not None and value.get("system") != (system or None):
        return False
    return not code or value["value"] == code
