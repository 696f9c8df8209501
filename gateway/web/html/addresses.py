"""Which addresses a page may lead to or show: what is not understood is left out."""

import re
from urllib.parse import parse_qsl, urlsplit

_WEB = re.compile(r"https?://[^\s\\]+", re.ASCII | re.IGNORECASE)
_PATH = re.compile(r"/(?![/\\])[^\s\\]*|\?[^\s\\]*", re.ASCII)
_SECURE_IMAGE = re.compile(r"https://[a-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][^\s\\]*)?", re.ASCII | re.IGNORECASE)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,]\S*", re.ASCII | re.IGNORECASE)


def link(address: str) -> str:
    """The address when it is http, https or a path on this host; otherwise empty, so that no link is shown.

    Escaping keeps text inside its attribute, and does not make `javascript:` harmless.
    """
    return address if _WEB.fullmatch(address) or _PATH.fullmatch(address) else ""


def image(address: str) -> str:
    """The address of a logo when it is https or an inline image; otherwise empty, so that initials are shown."""
    return address if _SECURE_IMAGE.fullmatch(address) or _INLINE_IMAGE.fullmatch(address) else ""


def path_of(action: str) -> str:
    """`action` without query and fragment: a browser replaces the query of a GET form's action by its fields."""
    return action.partition("#")[0].partition("?")[0]


def kept_fields(action: str, *own: str) -> list[tuple[str, str]]:
    """The query of `action` as fields for a GET form, save those that the form has as its `own`."""
    return [(name, value) for name, value in parse_qsl(_query(action), keep_blank_values=True) if name not in own]


def _query(action: str) -> str:
    try:
        return urlsplit(action).query
    except ValueError:
        return ""
