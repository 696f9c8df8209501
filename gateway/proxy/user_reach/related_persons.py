"""The patients for whom a user stands: of the RelatedPerson that the token names, and of further ones of the same user.

In R4 a RelatedPerson belongs to one patient, so that a parent of three children has three of them.
"""

from dataclasses import dataclass
from typing import Any, assert_never

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.policy.permission.rules import FurtherRelatedPersons
from gateway.policy.reasons import Reason
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.user_reach.own_searches import OwnSearch, OwnSearches

_ELEMENTS = frozenset({"patient", "identifier"})
# Nobody stands for more; a list of this length fits into one search.
_MAX_RELATED_PERSONS = 100
_ESCAPES = str.maketrans({character: f"\\{character}" for character in "\\,|$"})


@dataclass(frozen=True, slots=True)
class RelatedPersonRules:
    """How further RelatedPersons of a user are found. `identifier_systems` are those that tell people apart."""

    further: FurtherRelatedPersons = FurtherRelatedPersons.NONE
    identifier_systems: frozenset[str] = frozenset()


class RelatedPersons:
    """Finds the patients for whom a RelatedPerson stands."""

    def __init__(self, searches: OwnSearches, rules: RelatedPersonRules) -> None:
        self._searches = searches
        self._rules = rules

    async def find_patients(self, user: Reference, trace: UpstreamTrace, now: float) -> set[str]:
        """The ids of the patients. None if the RelatedPerson of the token itself does not hold."""
        own = await self._searches.read(user, _ELEMENTS, trace, now)
        if own is None:
            return set()
        patients = set(self._searches.find_ids(own, "patient", "Patient"))
        for criterion in await self._further_criteria(user, own, trace, now):
            search = OwnSearch("RelatedPerson", (criterion,), _ELEMENTS)
            async for related in self._searches.find(search, trace, now):
                patients.update(self._searches.find_ids(related, "patient", "Patient"))
        return patients

    async def _further_criteria(
        self, user: Reference, own: dict[str, Any], trace: UpstreamTrace, now: float
    ) -> list[tuple[str, str]]:
        """What the further RelatedPersons satisfy, each by itself."""
        match self._rules.further:
            case FurtherRelatedPersons.NONE:
                return []
            case FurtherRelatedPersons.PERSON:
                ids = await self._find_linked(user, trace, now)
                return [("_id", ",".join(sorted(ids)))] if ids else []
            case FurtherRelatedPersons.IDENTIFIER:
                return [("identifier", token) for token in sorted(self._identifying_tokens(own))]
        assert_never(self._rules.further)

    async def _find_linked(self, user: Reference, trace: UpstreamTrace, now: float) -> set[str]:
        """The RelatedPersons to which a Person links that links to the user's own."""
        found: set[str] = set()
        search = OwnSearch("Person", (("relatedperson", str(user)),), frozenset({"link"}))
        async for person in self._searches.find(search, trace, now):
            found.update(self._searches.find_ids(person, "link.target", "RelatedPerson"))
        found.discard(user.id)
        if len(found) > _MAX_RELATED_PERSONS:
            hint = f"The user has more than {_MAX_RELATED_PERSONS} RelatedPersons."
            raise RequestRefused(Reason.USER_REACH_UNKNOWN, hint=hint)
        return found

    def _identifying_tokens(self, own: dict[str, Any]) -> set[str]:
        identifiers = own.get("identifier")
        return {
            f"{system.translate(_ESCAPES)}|{value.translate(_ESCAPES)}"
            for identifier in (identifiers if isinstance(identifiers, list) else [])
            if isinstance(identifier, dict)
            for system, value in [(identifier.get("system"), identifier.get("value"))]
            if isinstance(system, str) and system in self._rules.identifier_systems
            if isinstance(value, str) and value.strip()
        }
