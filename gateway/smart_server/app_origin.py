"""What pages say about where an app is, and about an app that nobody has reviewed."""

from urllib.parse import urlsplit

from gateway.oauth.client.client import Client
from gateway.smart_server.page_language import gettext

_THIS_DEVICE = frozenset({"localhost", "127.0.0.1", "::1"})


def describe_recipient(redirect_uri: str) -> str:
    """Where the app is: the host of its redirect URI, or that it is an app on the user's device."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"}:
        return gettext("an app on this device (%(address)s)", address=parts.scheme)
    host = parts.hostname or ""
    if host in _THIS_DEVICE:
        return gettext("an app on this device (%(address)s)", address=parts.netloc.rpartition("@")[2])
    return host


def app_warning(client: Client) -> str:
    """The mark of an app that registered itself, in words; empty for an app that the operator registered."""
    if not client.self_registered:
        return ""
    return gettext(
        "This app has registered itself, and nobody here has reviewed it. Its name and description are its own words."
    )


def app_warning_with_origin(client: Client, redirect_uri: str) -> str:
    """The same with where the app is, for pages that do not say it elsewhere."""
    warning = app_warning(client)
    if not warning:
        return ""
    return f"{warning} {gettext('It is at: %(place)s', place=describe_recipient(redirect_uri))}"
