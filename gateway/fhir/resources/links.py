"""Rewriting of the FHIR server's URLs in responses to public ones."""

import re
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise


class UrlRewriter:
    """Rewrites absolute URLs below the bases of the FHIR server to the public base.

    It changes only the values of `reference` members, and of `url` members that refer to a Binary (R4 Attachment.url).
    A JSON string never holds an unescaped quotation mark, so the pattern cannot match inside a narrative.
    """

    def __init__(self, upstream_base: str, public_base: str, aliases: Sequence[str] = ()) -> None:
        """All base URLs are without trailing slash. `aliases` are further bases of the server.

        One that the public base lies below is left as it is: it could not be told from a URL that is public already.
        """
        others = {alias for alias in aliases if not f"{public_base}/".startswith(f"{alias}/")}
        # A base may lie below another one.
        bases = sorted({upstream_base, *others}, key=len, reverse=True)
        self._rewriters = tuple(_BaseRewriter(base, public_base) for base in bases)

    def rewrite(self, body: bytes) -> bytes:
        """The body with rewritten URLs; the same object if there are none."""
        for rewriter in self._rewriters:
            body = rewriter.rewrite(body)
        return body

    def rewrite_stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Rewrite a body that arrives in chunks, in constant memory."""
        for rewriter in self._rewriters:
            chunks = rewriter.rewrite_stream(chunks)
        return chunks


class _BaseRewriter:
    """Rewrites the URLs below one base."""

    def __init__(self, upstream_base: str, public_base: str) -> None:
        self._upstream = upstream_base.encode()
        self._public = public_base.encode()
        self._upstream_prefix, self._public_prefix = self._upstream + b"/", self._public + b"/"
        base = re.escape(self._upstream)
        # The bytes held back of a chunk: they must hold a base URL, its member name and some white space.
        self._overlap = len(self._upstream) + 64
        self._pattern = re.compile(rb'("reference"\s*:\s*"|"url"\s*:\s*"(?=' + base + rb"/Binary/))" + base + rb"(?=/)")

    def rewrite(self, body: bytes) -> bytes:
        """The body with rewritten URLs; the same object if there are none."""
        if self._upstream not in body or self._upstream == self._public:
            return body
        # The pattern would do the same in five times the time, because it stops at every quotation mark.
        parts = body.split(self._upstream_prefix)
        rewritten = [parts[0]]
        for before, after in pairwise(parts):
            rewritten += (self._public_prefix if _is_to_rewrite(before, after) else self._upstream_prefix, after)
        return b"".join(rewritten)

    async def rewrite_stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Rewrite a body that arrives in chunks. A URL may be split between two of them."""
        held = b""
        async for chunk in chunks:
            held += chunk
            rewritten, held = self._rewrite_complete_part(held)
            if rewritten:
                yield rewritten
        yield self.rewrite(held)

    def _rewrite_complete_part(self, body: bytes) -> tuple[bytes, bytes]:
        """Rewrite the part of the body that later chunks cannot change; return it with the unchanged remainder."""
        end = max(0, len(body) - self._overlap)
        parts, position = [], 0
        for match in self._pattern.finditer(body):
            if match.start() >= end:
                break
            parts += [body[position : match.start()], match[1], self._public]
            position = match.end()
        end = max(end, position)
        parts.append(body[position:end])
        return b"".join(parts), body[end:]


def _is_to_rewrite(before: bytes, after: bytes) -> bool:
    """Whether the URL between these parts of a text is the value of a `reference`, or of a `url` and of a Binary."""
    if before.endswith(b'"reference":"'):
        return True
    return _ends_with_name(before, b'"reference"') or (
        after.startswith(b"Binary/") and _ends_with_name(before, b'"url"')
    )


def _ends_with_name(before: bytes, name: bytes) -> bool:
    """Whether the text ends with the name of a member, a colon and a quotation mark, white space allowed between."""
    if not before.endswith(b'"'):
        return False
    before_colon = before[:-1].rstrip()
    return before_colon.endswith(b":") and before_colon[:-1].rstrip().endswith(name)
