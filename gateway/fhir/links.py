"""Addresses inside an answer: which paging links can be followed, and upstream addresses turned into public ones."""

import re
from collections.abc import AsyncIterator
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
        # What is held back of a piece: an address with the name of its member must fit in, and some space around it.
        self._overlap = len(self._upstream) + 64
        self._pattern = re.compile(rb'("reference"\s*:\s*"|"url"\s*:\s*"(?=' + base + rb"/Binary/))" + base + rb"(?=/)")

    def rewrite(self, body: bytes) -> bytes:
        """The body with those addresses replaced; the same object where there are none."""
        if self._upstream not in body or self._upstream == self._public:
            return body
        return self._pattern.sub(lambda match: match[1] + self._public, body)

    async def rewrite_pieces(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same for a body that comes in pieces, in constant memory: an address may lie across two of them."""
        held = b""
        async for piece in pieces:
            held += piece
            done, held = self._settled(held)
            if done:
                yield done
        yield self.rewrite(held)

    def _settled(self, body: bytes) -> tuple[bytes, bytes]:
        """What is settled whatever follows, rewritten, and the rest as it came."""
        end = max(0, len(body) - self._overlap)
        done, at = [], 0
        for match in self._pattern.finditer(body):
            if match.start() >= end:
                break
            done += [body[at : match.start()], match[1], self._public]
            at = match.end()
        end = max(end, at)
        done.append(body[at:end])
        return b"".join(done), body[end:]
