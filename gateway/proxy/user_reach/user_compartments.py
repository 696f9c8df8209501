"""Looks up the compartments of a user that the token does not name: of a RelatedPerson, a role, or a patient panel."""

import asyncio
from collections import OrderedDict

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.permission.reach import CompartmentSet, UserFacts
from gateway.policy.permission.rules import PractitionerReach, Rules
from gateway.policy.reasons import Reason
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.user_reach.own_searches import OwnSearch, OwnSearches
from gateway.proxy.user_reach.related_persons import RelatedPersonRules, RelatedPersons
from gateway.settings.enforcement.compartments import PanelSearch

_MAX_CACHED_USERS = 1000


class UserCompartments:
    """Looks up facts about users, and caches them for a while.

    Requests of a user that come while the facts are looked up wait for the same look-up.
    """

    def __init__(  # what an operator decides about users
        self,
        searches: OwnSearches,
        rules: Rules,
        panel: tuple[PanelSearch, ...] = (),
        related_persons: RelatedPersonRules | None = None,
        *,
        lifetime: float,
        max_patients: int,
    ) -> None:
        """`lifetime` is in seconds: how long a patient who leaves a panel may still be reached.

        `max_patients` is how many patients one user can reach; who has more reaches none.
        """
        self._searches = searches
        self._rules = rules
        self._panel = panel
        self._related_persons = RelatedPersons(searches, related_persons or RelatedPersonRules())
        self._lifetime = lifetime
        self._max_patients = max_patients
        self._cache: OrderedDict[Reference, tuple[float, UserFacts]] = OrderedDict()
        self._running: dict[Reference, asyncio.Task[UserFacts]] = {}

    async def look_up(self, user: Reference, trace: UpstreamTrace, now: float) -> UserFacts:
        """The user's compartments. `now` is in seconds since the epoch. Raises `RequestRefused`."""
        cached = self._cache.get(user)
        if cached is not None and now < cached[0]:
            return cached[1]
        task = self._running.get(user)
        if task is None:
            shared = trace.for_entry()
            # The others wait for it as well.
            shared.stay()
            task = self._running[user] = asyncio.create_task(self._fetch_facts(user, shared, now))
            task.add_done_callback(lambda done: self._finish(user, done))
            task.add_done_callback(lambda _: trace.add_waiting(shared))
        # The look-up goes on for the others if this request ends.
        return await asyncio.shield(task)

    async def _fetch_facts(self, user: Reference, trace: UpstreamTrace, now: float) -> UserFacts:
        """Look up the facts. They are as old as the look-up's start."""
        facts = UserFacts(await self._fetch_compartments(user, trace, now))
        self._cache[user] = (now + self._lifetime, facts)
        self._cache.move_to_end(user)
        if len(self._cache) > _MAX_CACHED_USERS:
            self._cache.popitem(last=False)
        return facts

    def _finish(self, user: Reference, task: asyncio.Task[UserFacts]) -> None:
        del self._running[user]
        if not task.cancelled():
            # Also if nobody waits any more, the failure counts as seen.
            task.exception()

    async def _fetch_compartments(self, user: Reference, trace: UpstreamTrace, now: float) -> CompartmentSet:
        try:
            if user.resource_type == "RelatedPerson":
                return self._of_patients(await self._related_persons.find_patients(user, trace, now))
            if self._rules.practitioner_reach is PractitionerReach.PANEL:
                return self._of_patients(await self._search_panel(user, trace, now))
            return CompartmentSet("Practitioner", frozenset(await self._find_practitioner(user, trace, now)))
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED) from error

    def _of_patients(self, patients: set[str]) -> CompartmentSet:
        if len(patients) > self._max_patients:
            hint = f"The user has more than {self._max_patients} patients (compartments.max_patients)."
            raise RequestRefused(Reason.USER_REACH_UNKNOWN, hint=hint)
        return CompartmentSet("Patient", frozenset(patients))

    async def _find_practitioner(self, role: Reference, trace: UpstreamTrace, now: float) -> set[str]:
        """The practitioner who has the role; none if there is no such role, or it is not active."""
        resource = await self._searches.read(role, frozenset({"practitioner"}), trace, now)
        return set() if resource is None else set(self._searches.find_ids(resource, "practitioner", "Practitioner"))

    async def _search_panel(self, user: Reference, trace: UpstreamTrace, now: float) -> set[str]:
        """The patients whom any search of the panel finds."""
        patients: set[str] = set()
        for panel_search in self._panel:
            path = panel_search.patient_element
            search = OwnSearch(
                panel_search.resource_type,
                ((panel_search.parameter, str(user)), *panel_search.criteria.items()),
                frozenset({path.partition(".")[0]}),
            )
            async for resource in self._searches.find(search, trace, now):
                patients.update(self._searches.find_ids(resource, path, "Patient"))
                if len(patients) > self._max_patients:
                    return patients
        return patients
