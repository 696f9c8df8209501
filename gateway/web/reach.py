"""Looks up the compartments of a user whose token does not tell them: a RelatedPerson, a role, a panel of patients."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.fhir.bundle import read_bundle
from gateway.fhir.links import page_target
from gateway.fhir.match import Criterion, compile_criterion
from gateway.fhir.query import encode_pairs
from gateway.fhir.reference import Reference, references_in
from gateway.fhir.resource import MalformedResourceError, Members, address_in, decode_member, open_resource, pick
from gateway.policy.decision import Send
from gateway.policy.reach import Compartments, Facts
from gateway.policy.reasons import Reason
from gateway.policy.rules import PractitionerReach, Rules
from gateway.web.answer import Refused
from gateway.web.fetch import FhirServer
from gateway.web.trace import Trace

# A panel larger than this is no panel: narrowing by it would be a list of everyone.
MAX_PANEL = 2000
_MAX_PAGES = 20
_KEPT_USERS = 1000


@dataclass(frozen=True, slots=True)
class PanelSearch:
    """One search that finds a practitioner's patients: `CareTeam?participant=<user>`, patients in `subject`.

    `parameter` is a reference parameter of R4. `patient_element` is the member of the found resource that refers to a
    patient (one Reference, or a list).
    """

    resource_type: str
    parameter: str
    patient_element: str


class UserCompartments:
    """Facts about users, remembered for a while."""

    def __init__(
        self,
        server: FhirServer,
        rules: Rules,
        panel: tuple[PanelSearch, ...],
        base_paths: tuple[str, ...],
        *,
        lifetime: float,
    ) -> None:
        """`lifetime` is in seconds: how long a patient may stay on a panel after leaving it."""
        self._server = server
        self._rules = rules
        self._panel = panel
        self._base_paths = base_paths
        self._lifetime = lifetime
        self._known: OrderedDict[Reference, tuple[float, Facts]] = OrderedDict()

    async def facts(self, user: Reference, trace: Trace, now: float) -> Facts:
        """The user's compartments. `now` is in seconds since the epoch. Raises `Refused`."""
        known = self._known.get(user)
        if known is not None and now < known[0]:
            return known[1]
        facts = Facts(await self._look_up(user, trace))
        self._known[user] = (now + self._lifetime, facts)
        if len(self._known) > _KEPT_USERS:
            self._known.popitem(last=False)
        return facts

    async def _look_up(self, user: Reference, trace: Trace) -> Compartments:
        try:
            if user.resource_type == "RelatedPerson":
                return Compartments("Patient", frozenset(await self._referred(user, "patient", trace)))
            if self._rules.practitioner_reach is PractitionerReach.PANEL:
                return Compartments("Patient", frozenset(await self._patients(user, trace)))
            return Compartments("Practitioner", frozenset(await self._referred(user, "practitioner", trace)))
        except MalformedResourceError as error:
            raise Refused(Reason.UPSTREAM_MALFORMED) from error

    async def _referred(self, user: Reference, element: str, trace: Trace) -> set[str]:
        """The id that the user's own resource refers to by `element`. An absent user reaches nothing."""
        try:
            fetched = await self._server.fetch(Send(f"/{user}"), trace)
        except Refused as refused:
            if refused.deny.reason is Reason.NOT_FOUND:
                return set()
            raise
        members = open_resource(fetched.body)
        if address_in(members) != (user.resource_type, user.id):
            return set()
        wanted = "Practitioner" if element == "practitioner" else "Patient"
        return set(self._ids(members, element, wanted))

    async def _patients(self, user: Reference, trace: Trace) -> set[str]:
        found: set[str] = set()
        for search in self._panel:
            query = encode_pairs(((search.parameter, str(user)), ("_count", "200")))
            names_user = compile_criterion(search.resource_type, search.parameter, None, str(user), self._rules.bases)
            send: Send | None = Send(f"/{search.resource_type}", query, search=True)
            for _ in range(_MAX_PAGES):
                if send is None:
                    break
                send = await self._collect(search, names_user, send, found, trace)
            if send is not None or len(found) > MAX_PANEL:
                raise Refused(Reason.USER_REACH_UNKNOWN, hint=f"The panel has more than {MAX_PANEL} patients.")
        return found

    async def _collect(
        self, search: PanelSearch, names_user: Criterion, send: Send, found: set[str], trace: Trace
    ) -> Send | None:
        """Add the patients of one page; the next page, if there is one.

        What does not name the user is passed over: a server that drops what it does not understand returns every row.
        """
        bundle = read_bundle((await self._server.fetch(send, trace)).body)
        for entry in bundle.entry:
            members = entry.resource
            address = address_in(members) if members is not None else None
            if members is None or address is None or address[0] != search.resource_type:
                continue
            if names_user.matches(pick(members, names_user.elements | {"resourceType"})):
                found.update(self._ids(members, search.patient_element, "Patient"))
        following = next((link.url for link in bundle.link if link.relation == "next"), None)
        target = page_target(following, self._base_paths) if following is not None else None
        if target is None:
            return None
        path, _, query = target.partition("?")
        return Send(path, query, search=True)

    def _ids(self, members: Members, element: str, resource_type: str) -> Iterator[str]:
        value = decode_member(members[element]) if element in members else None
        for reference in references_in(value, self._rules.bases):
            if reference.resource_type == resource_type:
                yield reference.id
