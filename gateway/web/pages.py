"""Searches and histories: each page judged entry by entry, empty ones passed over, links sealed."""

from gateway.fhir.bundle import Bundle, Entry, write_bundle
from gateway.fhir.links import PAGING_RELATIONS, AddressRewriter, page_target
from gateway.policy.decision import Allow, KeepMatches, KeepVersions, Send
from gateway.policy.judge_bundle import Verdict, hides_nothing, outcome_entry
from gateway.policy.sealed_page import SealedPage, Sealer
from gateway.web.answer import Answer, fhir_answer
from gateway.web.fetch import FhirServer
from gateway.web.judging import PageJudge
from gateway.web.reading import Asked, Reader

# How many pages are looked through for one that holds something. A `next` link that leads to nothing tells that
# something is hidden (leak_19); beyond this bound that is all it tells.
MAX_SKIPPED = 10


class Pages:
    """Answers with a Bundle."""

    def __init__(
        self,
        server: FhirServer,
        reader: Reader,
        sealer: Sealer,
        rewriter: AddressRewriter,
        base_paths: tuple[str, ...],
        *,
        public_base: str,
        lifetime: int,
    ) -> None:
        """`base_paths` are the paths below which a paging link may lie; `lifetime` of ours is in seconds."""
        self._server = server
        self._reader = reader
        self._sealer = sealer
        self._rewriter = rewriter
        self._base_paths = base_paths
        self._public_base = public_base
        self._lifetime = lifetime

    async def answer(self, allow: Allow, keep: KeepMatches | KeepVersions, asked: Asked) -> Answer:
        """The page that `allow` asks for. Raises `Refused` and `MalformedResourceError`."""
        judge = PageJudge(self._server, self._reader, keep, asked)
        bundle, verdict = await judge.judged(allow.send)
        targets = self._targets(bundle)
        entries = [entry for entry in verdict.kept if entry is not None]
        clear = asked.grant.unlimited or (hides_nothing(keep) and not verdict.missed)
        if not clear:
            targets = await self._skip_hidden(entries, verdict, targets, judge)
        kept = len(entries)
        if allow.left_out:
            entries.append(outcome_entry(allow.left_out))
        kind = "searchset" if isinstance(keep, KeepMatches) else "history"
        total = bundle.total if clear else None
        body = write_bundle(kind, links=self._links(targets, asked), entries=entries, total=total)
        answer = fhir_answer(self._rewriter.rewrite(body))
        answer.kept, answer.dropped = kept, verdict.dropped
        if isinstance(keep, KeepMatches) and keep.exact:
            answer.misses = verdict.missed
        return answer

    async def _skip_hidden(
        self, entries: list[Entry], verdict: Verdict, targets: dict[str, str], judge: PageJudge
    ) -> dict[str, str]:
        """Pass over following pages of which nothing may be shown (enforcement.md 8); the links that then hold.

        An empty page is replaced by the first that is not, and `next` leads to a page that holds something, or is gone.
        No other link is left: the first, the last and the previous page count what is hidden (leak_19).
        """
        following = targets.get("next")
        for _ in range(MAX_SKIPPED):
            if following is None:
                break
            path, _, query = following.partition("?")
            bundle, more = await judge.judged(Send(path, query), glance=bool(entries))
            kept = [entry for entry in more.kept if entry is not None]
            if kept and entries:
                break
            entries += kept
            verdict.add(more)
            following = self._targets(bundle).get("next")
        return {} if following is None else {"next": following}

    def _targets(self, bundle: Bundle) -> dict[str, str]:
        """The server's own places of the pages around this one, by relation."""
        found = {}
        for link in bundle.link:
            target = page_target(link.url, self._base_paths) if link.relation in PAGING_RELATIONS else None
            if target is not None:
                found[link.relation] = target
        return found

    def _links(self, targets: dict[str, str], asked: Asked) -> list[tuple[str, str]]:
        """Our own `self`, and every page sealed for this grant (leak_07)."""
        path, query = asked.address
        links = [("self", f"{self._public_base}{path}{'?' + query if query else ''}")]
        expires_at = int(asked.now) + self._lifetime
        for relation, target in targets.items():
            handle = self._sealer.seal(SealedPage(path, query, target, expires_at), asked.access)
            links.append((relation, f"{self._public_base}/?_page={handle}"))
        return links
