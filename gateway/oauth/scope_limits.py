"""How much scope a request may carry: authorization, token and registration requests are bounded here, before parsing.

Anyone may send such a request, so what exceeds the bounds is refused by its length and its count alone.
"""

from dataclasses import dataclass

from gateway.scopes.parse_scopes import ParsedScopes, ScopeError, parse_scopes


@dataclass(frozen=True, slots=True)
class ScopeLimits:
    """The most that one `scope` may hold. A scope with several constraints counts as one for each.

    20 KB of scopes must work by POST (A-22, edge case 24).
    """

    max_bytes: int = 32 * 1024
    max_scopes: int = 300

    def parse(self, text: str, *, spare: int = 0) -> ParsedScopes:
        """Parse the text. `spare` scopes more than the limit are accepted. Raises `ScopeError` above the bounds."""
        if len(text) > self.max_bytes:
            raise ScopeError(text, self.max_bytes + 1, f"the scope is longer than {self.max_bytes} bytes")
        # `&` stands between two constraints of a scope.
        if len(text.split()) + text.count("&") > self.max_scopes + spare:
            raise ScopeError(text, 1, f"there are more than {self.max_scopes} scopes, or constraints of scopes")
        return parse_scopes(text)
