"""The error for a token that is not accepted, and what the token says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gateway.policy.reasons import Reason

# Characters of a claim, and claims of a list. Whoever made the token chose them freely.
_MAX_LENGTH, _MAX_VALUES = 200, 5


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says that was not accepted. None of it is proven."""

    issuer: str | None
    audience: tuple[str, ...]
    client_id: str | None

    @classmethod
    def read(cls, claims: Mapping[str, Any]) -> Self:
        """The claims, as far as they are text; cut to a bounded length."""
        audience = claims.get("aud")
        values = audience if isinstance(audience, list) else [audience]
        return cls(
            issuer=_text(claims.get("iss")),
            audience=tuple(text for text in map(_text, values[:_MAX_VALUES]) if text is not None),
            client_id=_text(claims.get("client_id")) or _text(claims.get("azp")),
        )


def _text(value: object) -> str | None:
    return value[:_MAX_LENGTH] if isinstance(value, str) else None


class TokenRefused(Exception):
    """The token is not accepted. `detail` is for the log: it says what is wrong and quotes no secret.

    `claims` is what the token says, where it can be read.
    """

    def __init__(self, reason: Reason, detail: str = "", claims: TokenClaims | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail
        self.claims = claims

    def copy(self) -> "TokenRefused":
        """A new exception. One that is raised repeatedly would accumulate tracebacks, which keep the token alive."""
        return TokenRefused(self.reason, self.detail, self.claims)
