"""Addresses inside an answer: which paging links can be followed, and upstream addresses turned into public ones."""

import re
from urllib.parse import urlsplit

# Paging relations of a searchset or history (R4 Bundle.link, RFC 5005); any other link stays behind.
PAGING_RELATIONS = frozenset({"first", "previous", "prev", "next", "last"})

_TARGET_PATH = re.compile(r"(/[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*)*/?")
_TARGET_QUERY = re.compile(r"[!$&-;=?-Z_a-z~%|\[\]^`{}]*")
_MAX_TARGET = 8192


def page_target(url: str, base_paths: tuple[str, ...]) -> str | None:
    """What to ask below the upstream's base to get the page that `url` names; None where it names no page of it.

    The host in the link is not looked at: the request goes to the configured server whatever the link says, so a link
    to elsewhere gains nothing. `base_paths` are the paths of the bases under which the server may know itself.
    Operations (`$`) and anything that is not a plain path are refused.
    """
    if len(url) > _MAX_TARGET or not url.isascii():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    path = _below_base(parts.path, base_paths) if parts.path else ""
    if path is None or parts.fragment or not _TARGET_PATH.fullmatch(path) or not _TARGET_QUERY.fullmatch(parts.query):
        return None
    return f"{path.rstrip('/')}?{parts.query}" if parts.query else path.rstrip("/")


def _below_base(path: str, base_paths: tuple[str, ...]) -> str | None:
    for base in base_paths:
        if path == base or path.startswith(base + "/"):
            return path[len(base) :]
    return None


class AddressRewriter:
    """Turns absolute addresses below the upstream's base into ours, in the fields that hold addresses.

    Only the values of `reference` members, and of `url` members that name a Binary (R4 Attachment.url), are touched: a
    JSON string never holds an unescaped quotation mark, so the pattern cannot match inside a narrative.
    """

    def __init__(self, upstream_base: str, public_base: str) -> None:
        """Both without trailing slash."""
        self._upstream = upstream_base.encode()
        self._public = public_base.encode()
        base = re.escape(self._upstream)
        self._pattern = re.compile(rb'("reference"\s*:\s*"|"url"\s*:\s*"(?=' + base + rb"/Binary/))" + base + rb"(?=/)")

    def rewrite(self, body: bytes) -> bytes:
        """The body with those addresses replaced; the same object where there are none."""
        if self._upstream not in body or self._upstream == self._public:
            return body
        return self._pattern.sub(lambda match: match[1] + self._public, body)
