"""The URLs that a page may link to or show. Anything else is dropped."""

import re
from urllib.parse import parse_qsl, urlsplit

_WEB = re.compile(r"https?://[^\s\\]+", re.ASCII | re.IGNORECASE)
_PATH = re.compile(r"/(?![/\\])[^\s\\]*|\?[^\s\\]*", re.ASCII)
_SECURE_IMAGE = re.compile(r"https://[a-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][^\s\\]*)?", re.ASCII | re.IGNORECASE)
_INLINE_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,]\S*", re.ASCII | re.IGNORECASE)


def safe_link(url: str) -> str:
    """The URL if it is http, https or a path on this host, else an empty string: the page shows no link.

    Escaping keeps text inside its attribute, but does not make `javascript:` harmless.
    """
    return url if _WEB.fullmatch(url) or _PATH.fullmatch(url) else ""


def safe_image(url: str) -> str:
    """The URL of a logo if it is https or an inline image, else an empty string: the page shows initials."""
    return url if _SECURE_IMAGE.fullmatch(url) or _INLINE_IMAGE.fullmatch(url) else ""


def path_of(action: str) -> str:
    """`action` without query and fragment: a browser replaces the query of a GET form's action with its fields."""
    return action.partition("#")[0].partition("?")[0]


def query_fields(action: str, *excluded: str) -> list[tuple[str, str]]:
    """The query of `action` as hidden fields for a GET form, without those named in `excluded`."""
    return [(name, value) for name, value in parse_qsl(_query(action), keep_blank_values=True) if name not in excluded]


def _query(action: str) -> str:
    try:
        return urlsplit(action).query
    except ValueError:
        return ""
