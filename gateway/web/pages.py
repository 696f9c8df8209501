"""Searches and histories: each page judged entry by entry, filled up from the following ones, links sealed."""

from gateway.fhir.bundle import Bundle, Entry, write_bundle
from gateway.fhir.links import PAGING_RELATIONS, AddressRewriter, page_target
from gateway.policy.decision import Allow, KeepMatches, KeepVersions, Send
from gateway.policy.judge_bundle import Verdict, hides_nothing, outcome_entry
from gateway.policy.sealed_page import SealedPage, Sealer
from gateway.web.answer import Answer, fhir_answer
from gateway.web.fetch import FhirServer
from gateway.web.filling import Filling
from gateway.web.judging import PageJudge
from gateway.web.reading import Asked, Reader

# How many following pages are looked through to fill one up and to learn whether another follows. A page that is short
# before the last tells that something is hidden (leak_19); beyond this bound that is all it tells.
MAX_SKIPPED = 10

# A page of the server, and how many of its permitted matches were shown before.
Place = tuple[str, int]


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
        clear = not allow.shown and (asked.grant.unlimited or (hides_nothing(keep) and not verdict.missed))
        if clear:
            entries = [entry for entry in verdict.kept if entry is not None]
            places = {relation: (target, 0) for relation, target in self._targets(bundle).items()}
        else:
            entries, places = await self._filled(bundle, verdict, allow.shown, judge)
        kept = len(entries)
        if allow.left_out:
            entries.append(outcome_entry(allow.left_out))
        kind = "searchset" if isinstance(keep, KeepMatches) else "history"
        total = bundle.total if clear else None
        body = write_bundle(kind, links=self._links(places, asked), entries=entries, total=total)
        answer = fhir_answer(self._rewriter.rewrite(body))
        answer.kept, answer.dropped = kept, verdict.dropped
        if isinstance(keep, KeepMatches) and keep.exact:
            answer.misses = verdict.missed
        return answer

    async def _filled(
        self, bundle: Bundle, verdict: Verdict, shown: int, judge: PageJudge
    ) -> tuple[list[Entry], dict[str, Place]]:
        """The page filled up from the following ones (enforcement.md 8), and the links that then hold.

        `next` leads to a match that was not shown yet, or is gone. No other link is left: the first, the last and the
        previous page count what is hidden (leak_19).
        """
        filling = Filling(judge)
        filling.take(bundle, verdict, shown)
        following = self._targets(bundle).get("next")
        for _ in range(MAX_SKIPPED):
            if following is None:
                return filling.entries(), {}
            path, _, query = following.partition("?")
            bundle, more = await judge.judged(Send(path, query), glance=filling.full)
            left_at = filling.take(bundle, more)
            if left_at is not None:
                return filling.entries(), {"next": (following, left_at)}
            verdict.add(more)
            following = self._targets(bundle).get("next")
        return filling.entries(), {} if following is None else {"next": (following, 0)}

    def _targets(self, bundle: Bundle) -> dict[str, str]:
        """The server's own places of the pages around this one, by relation."""
        found = {}
        for link in bundle.link:
            target = page_target(link.url, self._base_paths) if link.relation in PAGING_RELATIONS else None
            if target is not None:
                found[link.relation] = target
        return found

    def _links(self, places: dict[str, Place], asked: Asked) -> list[tuple[str, str]]:
        """Our own `self`, and every page sealed for this grant (leak_07)."""
        path, query = asked.address
        links = [("self", f"{self._public_base}{path}{'?' + query if query else ''}")]
        expires_at = int(asked.now) + self._lifetime
        for relation, (target, shown) in places.items():
            handle = self._sealer.seal(SealedPage(path, query, target, expires_at, shown), asked.access)
            links.append((relation, f"{self._public_base}/?_page={handle}"))
        return links
