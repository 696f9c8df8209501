"""One page of the server, judged: each entry by itself, then by what the server or the rest of the page says of it."""

from gateway.fhir.bundle import Bundle, read_bundle
from gateway.fhir.interaction import CompartmentSearch, Interaction, SystemSearch, TypeSearch
from gateway.fhir.reference import Reference
from gateway.fhir.resource import address_in
from gateway.policy.decision import MAX_VERSIONS, KeepMatches, KeepVersions, Send
from gateway.policy.judge_bundle import Verdict, hides_nothing, judge_bundle
from gateway.policy.judge_includes import drop_unaccounted
from gateway.web.fetch import FhirServer
from gateway.web.provenances import settle
from gateway.web.reading import Asked, Reader


class PageJudge:
    """Judges the pages that are looked at for one request."""

    __slots__ = ("_asked", "_keep", "_present", "_reader", "_server")

    def __init__(self, server: FhirServer, reader: Reader, keep: KeepMatches | KeepVersions, asked: Asked) -> None:
        self._server = server
        self._reader = reader
        self._keep = keep
        self._asked = asked
        self._present: dict[Reference, bool] = {}

    async def judged(self, send: Send, *, glance: bool = False) -> tuple[Bundle, Verdict]:
        """The page that `send` asks for. Raises `Refused` and `MalformedResourceError`.

        With `glance` no more is asked than whether anything of the page may be shown: what is kept then is more than
        may leave, but not if nothing may.
        """
        keep, asked = self._keep, self._asked
        bundle = read_bundle((await self._server.fetch(send, asked.trace)).body)
        verdict = judge_bundle(bundle, keep)
        if verdict.pending:
            await settle(verdict, self._reader, asked)
        if isinstance(keep, KeepVersions):
            if keep.instance is None and not hides_nothing(keep):
                await self._drop_past(verdict, glance=glance)
        else:
            self.drop_unaccounted(verdict)
        return bundle, verdict

    def drop_unaccounted(self, verdict: Verdict) -> None:
        """Drop the includes of a page, or of a part of one, that no match in it leads to."""
        grant = self._keep.grant
        if verdict.includes and not grant.unlimited:
            drop_unaccounted(verdict, grant.rules.bases, _sources_of_revinclude(self._asked.interaction))

    async def _drop_past(self, verdict: Verdict, *, glance: bool) -> None:
        """Drop the versions of what may not be found as it stands now, as it is with the history of one (leak_15).

        Of a page this many resources are asked for, which is as many as an honest server puts there.
        """
        left = MAX_VERSIONS
        for place, entry in enumerate(verdict.kept):
            address = address_in(entry.resource) if entry is not None and entry.resource is not None else None
            if address is None or self._keep.grant.find(address[0]).unlimited:
                continue
            reference = Reference(*address)
            if reference not in self._present and left:
                left -= 1
                self._present[reference] = await self._reader.may_find(reference, self._asked)
            if not self._present.get(reference, False):
                verdict.kept[place] = None
                verdict.drop(reference.resource_type)
            elif glance:
                return


def _sources_of_revinclude(interaction: Interaction) -> frozenset[str]:
    if isinstance(interaction, TypeSearch | SystemSearch | CompartmentSearch):
        return frozenset(include.source for include in interaction.query.includes if include.reverse)
    return frozenset()
