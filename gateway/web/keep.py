"""From an allowed request to the answer that leaves: send, judge, and write only what was kept."""

from collections.abc import Awaitable
from typing import assert_never

from gateway.fhir.interaction import Conditions, Read
from gateway.fhir.links import AddressRewriter
from gateway.fhir.resource import MalformedResourceError
from gateway.policy.decision import (
    Allow,
    KeepBinary,
    KeepCapabilities,
    KeepMatches,
    KeepResource,
    KeepVersions,
    Relay,
    Send,
)
from gateway.policy.judge import judge_resource
from gateway.policy.reasons import Reason
from gateway.web.answer import Answer, Refused, fhir_answer
from gateway.web.binary import keep_binary, relay
from gateway.web.conditions import unchanged
from gateway.web.fetch import FHIR_JSON, OF_THE_RECORD, Fetched, FhirServer
from gateway.web.metadata import Metadata
from gateway.web.pages import Pages
from gateway.web.reading import Asked, Reader
from gateway.web.trace import Trace


class Keeper:
    """Carries out an `Allow`."""

    def __init__(
        self, server: FhirServer, reader: Reader, pages: Pages, rewriter: AddressRewriter, metadata: Metadata
    ) -> None:
        self._server = server
        self._reader = reader
        self._pages = pages
        self._rewriter = rewriter
        self._metadata = metadata

    def answer(self, allow: Allow, asked: Asked) -> Awaitable[Answer]:
        """The answer to an allowed request, to be awaited. Raises `Refused`.

        A read goes straight to its own step: one coroutine less on the way that is taken most.
        """
        if isinstance(allow.keep, KeepResource) and allow.current is None:
            return self._resource(allow.send, allow.keep, asked)
        return self._answer(allow, asked)

    async def _answer(self, allow: Allow, asked: Asked) -> Answer:
        if allow.current is not None and not await self._reader.may_read(allow.current, asked):
            raise Refused(Reason.OUT_OF_REACH)
        keep = allow.keep
        try:
            match keep:
                case Relay():
                    return await self._relay(allow.send, asked)
                case KeepBinary():
                    return await self._vouched(allow.send, keep, asked)
                case KeepCapabilities():
                    return await self.capabilities(asked.trace, asked.now)
                case KeepResource():
                    return await self._resource(allow.send, keep, asked)
                case KeepMatches() | KeepVersions():
                    return await self._pages.answer(allow, keep, asked)
        except MalformedResourceError as error:
            raise Refused(Reason.UPSTREAM_MALFORMED) from error
        assert_never(keep)

    async def capabilities(self, trace: Trace, now: float) -> Answer:
        """`/metadata`, which needs no grant. `now` is in seconds since the epoch. Raises `Refused`."""
        return await self._metadata.answer(trace, now)

    async def _vouched(self, send: Send, keep: KeepBinary, asked: Asked) -> Answer:
        try:
            return await self._binary(send, keep, asked)
        except (MalformedResourceError, Refused) as error:
            unseen = _unseen(error)
            if unseen.deny.reason is Reason.UPSTREAM_FAILED:
                # Documents that may point at it are asked for only where there is such a Binary.
                unseen.told = Reason.NOT_FOUND
            raise unseen from error

    async def _binary(self, send: Send, keep: KeepBinary, asked: Asked) -> Answer:
        return await keep_binary(self._server, send, keep, asked, self._reader, self._rewriter)

    async def _relay(self, send: Send, asked: Asked) -> Answer:
        binary = isinstance(asked.interaction, Read) and asked.interaction.resource_type == "Binary"
        return await relay(self._server, send, asked, self._rewriter, asked.accept if binary else FHIR_JSON)

    async def _resource(self, send: Send, keep: KeepResource, asked: Asked) -> Answer:
        try:
            fetched = await self._server.fetch(send, asked.trace)
            text, judgement = judge_resource(fetched.body, keep)
            held = judgement if isinstance(judgement, bool) else await self._reader.holds(judgement, asked)
        except (MalformedResourceError, Refused) as error:
            raise _unseen(error) from error
        if not held:
            raise Refused(Reason.OUT_OF_REACH)
        return self._verified(text, fetched, asked)

    def _verified(self, body: bytes, fetched: Fetched, asked: Asked) -> Answer:
        conditions = asked.interaction.conditions if isinstance(asked.interaction, Read) else Conditions()
        if unchanged(conditions, fetched.validators):
            return Answer(304, Reason.PERMITTED, b"", list(fetched.validators))
        answer = fhir_answer(self._rewriter.rewrite(body), headers=fetched.validators)
        answer.kept = 1
        return answer


def _unseen(error: MalformedResourceError | Refused) -> Refused:
    """The failure, told as not found: whoever may not see a record must not learn from its flaws that it exists.

    Source: leak_30. The audit line and the metrics have the true reason.
    """
    if isinstance(error, MalformedResourceError):
        return Refused(Reason.UPSTREAM_MALFORMED, told=Reason.NOT_FOUND)
    if error.deny.reason in OF_THE_RECORD:
        error.told = Reason.NOT_FOUND
    return error
