"""From an allowed request to the answer that leaves: send, judge, and write only what was kept."""

from typing import assert_never

from gateway.fhir.bundle import Bundle, read_bundle, write_bundle
from gateway.fhir.interaction import Conditions, Read
from gateway.fhir.links import PAGING_RELATIONS, AddressRewriter, page_target
from gateway.fhir.reference import Reference
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
from gateway.policy.judge import Targets, Verdict, judge_bundle, judge_resource, outcome_entry
from gateway.policy.reasons import Reason
from gateway.policy.sealed_page import SealedPage, Sealer
from gateway.web.answer import Answer, Refused, fhir_answer
from gateway.web.binary import keep_binary, relay
from gateway.web.conditions import unchanged
from gateway.web.fetch import Fetched, FhirServer
from gateway.web.metadata import Metadata
from gateway.web.reading import MAX_TARGETS, Asked, Reader
from gateway.web.trace import Trace


class Keeper:
    """Carries out an `Allow`."""

    def __init__(
        self,
        server: FhirServer,
        sealer: Sealer,
        rewriter: AddressRewriter,
        metadata: Metadata,
        *,
        public_base: str,
        base_paths: tuple[str, ...],
        page_lifetime: int,
    ) -> None:
        """`page_lifetime` is in seconds."""
        self._server = server
        self._reader = Reader(server)
        self._sealer = sealer
        self._rewriter = rewriter
        self._metadata = metadata
        self._public_base = public_base
        self._base_paths = base_paths
        self._page_lifetime = page_lifetime

    async def answer(self, allow: Allow, asked: Asked) -> Answer:
        """The answer to an allowed request. Raises `Refused`."""
        if allow.current is not None and not await self._reader.may_read(allow.current, asked):
            raise Refused(Reason.OUT_OF_REACH)
        keep = allow.keep
        try:
            match keep:
                case Relay():
                    return await self._relay(allow.send, asked)
                case KeepBinary():
                    return await self._binary(allow.send, keep, asked)
                case KeepCapabilities():
                    return await self.capabilities(asked.trace, asked.now)
                case KeepResource():
                    return await self._resource(allow.send, keep, asked)
                case KeepMatches() | KeepVersions():
                    return await self._bundle(allow, keep, asked)
        except MalformedResourceError as error:
            raise Refused(Reason.UPSTREAM_MALFORMED) from error
        assert_never(keep)

    async def capabilities(self, trace: Trace, now: float) -> Answer:
        """`/metadata`, which needs no grant. `now` is in seconds since the epoch. Raises `Refused`."""
        return await self._metadata.answer(trace, now)

    async def _binary(self, send: Send, keep: KeepBinary, asked: Asked) -> Answer:
        return await keep_binary(self._server, send, keep.reference, asked, self._reader, self._rewriter)

    async def _relay(self, send: Send, asked: Asked) -> Answer:
        if isinstance(asked.interaction, Read) and asked.interaction.resource_type == "Binary":
            return await relay(self._server, send, asked, self._rewriter, asked.accept)
        return await relay(self._server, send, asked, self._rewriter)

    async def _resource(self, send: Send, keep: KeepResource, asked: Asked) -> Answer:
        fetched = await self._server.fetch(send, asked.trace)
        text, judgement = judge_resource(fetched.body, keep)
        if not await self._reader.holds(judgement, asked):
            raise Refused(Reason.OUT_OF_REACH)
        return self._verified(text, fetched, asked)

    def _verified(self, body: bytes, fetched: Fetched, asked: Asked) -> Answer:
        conditions = asked.interaction.conditions if isinstance(asked.interaction, Read) else Conditions()
        if unchanged(conditions, fetched.validators):
            return Answer(304, Reason.PERMITTED, b"", list(fetched.validators))
        answer = fhir_answer(self._rewriter.rewrite(body), headers=fetched.validators)
        answer.kept = 1
        return answer

    async def _bundle(self, allow: Allow, keep: KeepMatches | KeepVersions, asked: Asked) -> Answer:
        fetched = await self._server.fetch(allow.send, asked.trace)
        bundle = read_bundle(fetched.body)
        verdict = judge_bundle(bundle, keep)
        if verdict.pending:
            await self._settle(verdict, asked)
        entries = [entry for entry in verdict.kept if entry is not None]
        kept = len(entries)
        if allow.left_out:
            entries.append(outcome_entry(allow.left_out))
        exact = isinstance(keep, KeepMatches) and keep.exact and not verdict.missed
        kind = "searchset" if isinstance(keep, KeepMatches) else "history"
        total = bundle.total if exact or asked.grant.unlimited else None
        body = write_bundle(kind, links=self._links(bundle, asked), entries=entries, total=total)
        answer = fhir_answer(self._rewriter.rewrite(body))
        answer.kept, answer.dropped = kept, verdict.dropped
        if isinstance(keep, KeepMatches) and keep.exact:
            answer.misses = verdict.missed
        return answer

    async def _settle(self, verdict: Verdict, asked: Asked) -> None:
        """Judge the Provenances of a page by their targets: those on the page first, then others, within a bound."""
        known: dict[Reference, bool] = {}
        shown = {entry.fullUrl for entry in verdict.kept if entry is not None}
        for place, (entry, targets) in verdict.pending.items():
            if await self._any_target(targets, shown, known, asked):
                verdict.kept[place] = entry
            else:
                verdict.drop("Provenance", included=entry.search is not None and entry.search.mode == "include")

    async def _any_target(
        self, targets: Targets, shown: set[str | None], known: dict[Reference, bool], asked: Asked
    ) -> bool:
        plain = [Reference(one.resource_type, one.id) for one in targets.references]
        if any(f"{self._public_base}/{one}" in shown or known.get(one) for one in plain):
            return True
        for one in plain:
            if one not in known and len(known) < MAX_TARGETS:
                known[one] = await self._reader.may_see(one, asked)
            if known.get(one):
                return True
        return False

    def _links(self, bundle: Bundle, asked: Asked) -> list[tuple[str, str]]:
        """Our own `self`, and every paging link sealed for this grant (leak_07)."""
        path, query = asked.address
        links = [("self", f"{self._public_base}{path}{'?' + query if query else ''}")]
        expires_at = int(asked.now) + self._page_lifetime
        for link in bundle.link:
            if link.relation in PAGING_RELATIONS:
                target = page_target(link.url, self._base_paths)
                if target is not None:
                    handle = self._sealer.seal(SealedPage(path, query, target, expires_at), asked.access)
                    links.append((link.relation, f"{self._public_base}/?_page={handle}"))
        return links
