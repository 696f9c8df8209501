"""Why a login with an OpenID provider came to nothing: a stable word for the page, and the story for our log."""

from enum import StrEnum


class SignInReason(StrEnum):
    """What the page of a failed login names, for the support desk."""

    UNAVAILABLE = "provider_unavailable"
    """The provider cannot be reached, or one of its documents cannot be used."""
    REFUSED = "provider_refused"
    """The provider took back its code, or does not accept us or what we asked for."""
    NOT_BELIEVED = "provider_not_believed"
    """The provider's answer is not for this login, or not from who it should be."""
    NOT_FRESH = "login_not_fresh"
    """The app wants a recent login, and the provider does not say that it was one."""


class SignInError(Exception):
    """Nobody is signed in. `detail` is for our log: it names what was wrong and quotes no secret."""

    def __init__(self, reason: SignInReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail[:300]
