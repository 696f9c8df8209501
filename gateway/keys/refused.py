"""A token that is not accepted, and why."""

from gateway.policy.reasons import Reason


class TokenRefused(Exception):
    """Ends the check of a token. `detail` is for our log: it names what was wrong and quotes no secret."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail
