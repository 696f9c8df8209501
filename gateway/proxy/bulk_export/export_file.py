"""The body of an export's file: judged block by block in constant memory, or passed on where all of it is permitted."""

from collections.abc import AsyncIterator
from typing import Protocol

from gateway.asgi.response import FhirResponse
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.resource import MalformedResourceError, read_resource, remove_white_space
from gateway.proxy.fhir_server import failure
from gateway.upstream.exchange_types import MalformedResponse, Response, ResponseTooLarge, UpstreamError


class BlockJudge(Protocol):
    """Judges blocks of complete lines."""

    kept: int
    dropped: dict[str, int]

    def judge(self, block: bytes) -> bytes:
        """The permitted part of the block."""

    def drop_unreadable(self) -> None:
        """Count a line that is too long to be judged."""


class _Lines:
    """Cuts a body into blocks of complete lines. A line that is too long is skipped, and counted by `judge`."""

    def __init__(self, judge: BlockJudge, line_limit: int) -> None:
        self._judge = judge
        self._line_limit = line_limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_skipping = False

    def add(self, piece: bytes) -> bytes:
        """The complete lines up to the end of this piece."""
        if self._is_skipping:
            end = piece.find(b"\n")
            if end < 0:
                return b""
            self._is_skipping = False
            piece = piece[end + 1 :]
        end = piece.rfind(b"\n") + 1
        complete = b"".join([*self._pieces, piece[:end]]) if end else b""
        if end:
            self._pieces, self._size = [], 0
        if end < len(piece):
            self._pieces.append(piece[end:])
            self._size += len(piece) - end
        if self._size > self._line_limit:
            self._pieces, self._size, self._is_skipping = [], 0, True
            self._judge.drop_unreadable()
        return complete

    def end(self) -> bytes:
        """The last line, if no line feed ends it. Raises `MalformedResponse` if it was broken off."""
        line = b"".join(self._pieces)
        if not line or line.isspace():
            return b""
        try:
            read_resource(remove_white_space(line))
        except MalformedResourceError:
            raise MalformedResponse("The last line of an export's file is not complete.") from None
        return line + b"\n"


async def judge_file(
    response: Response, answer: FhirResponse, judge: BlockJudge, rewriter: UrlRewriter, *, limit: int, line_limit: int
) -> AsyncIterator[bytes]:
    """The permitted lines. `answer` gets their number, and the reason if the file breaks off: then it ends in an error.

    `limit` and `line_limit` are in bytes.
    """
    lines = _Lines(judge, line_limit)
    try:
        async for piece in _limit_size(response.stream(), limit):
            block = lines.add(piece)
            kept = judge.judge(block) if block else b""
            if kept:
                yield rewriter.rewrite(kept)
        last = judge.judge(lines.end())
        if last:
            yield rewriter.rewrite(last)
    except UpstreamError as error:
        answer.reason = failure(error).deny.reason
        raise
    finally:
        answer.kept = judge.kept


async def pass_file(
    response: Response, answer: FhirResponse, rewriter: UrlRewriter, *, limit: int
) -> AsyncIterator[bytes]:
    """The whole file, whose lines are not judged. `answer` gets the reason if it breaks off."""
    try:
        async for piece in rewriter.rewrite_stream(_limit_size(response.stream(), limit)):
            yield piece
    except UpstreamError as error:
        answer.reason = failure(error).deny.reason
        raise


async def _limit_size(pieces: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ResponseTooLarge(f"An export's file is larger than {limit} bytes.")
        yield piece
