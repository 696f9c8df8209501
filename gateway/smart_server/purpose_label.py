"""What pages call a purpose of use."""

from gateway.oauth.purpose_of_use import KNOWN_PURPOSES, OfferedPurpose
from gateway.smart_server.page_language import gettext


def purpose_label(purpose: OfferedPurpose) -> str:
    """The operator's name for it, or the words for a known one in the current language."""
    return purpose.name or gettext(KNOWN_PURPOSES.get(purpose.code, purpose.code))
