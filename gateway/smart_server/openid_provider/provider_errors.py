"""Errors of a login at an OpenID provider: a stable reason for the page, and a detail for the log."""

from enum import StrEnum


class ProviderLoginReason(StrEnum):
    """The reason on the page of a failed login, for the support desk."""

    UNAVAILABLE = "provider_unavailable"
    """The provider cannot be reached, or one of its documents is unusable."""
    REFUSED = "provider_refused"
    """The provider rejected its code, our credentials, or our request."""
    NOT_TRUSTED = "provider_not_believed"
    """The response is not for this login, or not from this provider."""
    NOT_FRESH = "login_not_fresh"
    """The app requires a recent login, and the provider does not confirm one."""
    DISABLED = "user_disabled"
    """The user is known, but an administrator has disabled them here."""


class ProviderLoginError(Exception):
    """The login failed. `detail` is for the log: it says what was wrong, and contains no secrets."""

    def __init__(self, reason: ProviderLoginReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail[:300]
