"""Grants, compiled once and shared by every token that says the same (performance.md rule 5)."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from gateway.fhir.interaction import Interaction
from gateway.policy.access import Access
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, Deny, Need
from gateway.policy.grant import Grant
from gateway.policy.reach import Facts
from gateway.policy.reasons import Reason
from gateway.policy.rules import Rules
from gateway.scopes.model import Scope
from gateway.web.answer import Refused
from gateway.web.reach import UserCompartments
from gateway.web.trace import Trace

_Key = tuple[tuple[Scope, ...], str | None, object, object, Facts | None]


class Grants:
    """A bounded memory of compiled grants. A grant depends on scopes, patient and user, never on the client."""

    def __init__(self, rules: Rules, users: UserCompartments, *, entries: int) -> None:
        """The server's statement is not known until `learn` is called."""
        self._rules = replace(rules, statement_known=False)
        self._users = users
        self._entries = entries
        self._by_access: OrderedDict[int, tuple[Access, Grant]] = OrderedDict()
        self._by_meaning: OrderedDict[_Key, Grant] = OrderedDict()

    def learn(self, unsupported: Mapping[str, frozenset[str]]) -> bool:
        """Take note of what the server cannot narrow by; whether that is news. Grants are compiled anew then."""
        learned = replace(self._rules, unsupported_parameters=unsupported, statement_known=True)
        if learned == self._rules:
            return False
        self._rules = learned
        self._by_access.clear()
        self._by_meaning.clear()
        return True

    def of(self, access: Access) -> Grant:
        """The grant of a token, as far as the token alone tells it."""
        known = self._by_access.get(id(access))
        if known is not None:
            return known[1]
        grant = self._shared(access, None)
        # The access is held beside its grant, so that its id cannot be given to another while the entry stands.
        self._by_access[id(access)] = (access, grant)
        if len(self._by_access) > self._entries:
            self._by_access.popitem(last=False)
        return grant

    async def _informed(self, access: Access, need: Need, trace: Trace, now: float) -> Grant:
        """The grant with the fact that a decision needs. `now` is in seconds since the epoch. Raises `Refused`."""
        facts = await self._users.facts(need.unknown.user, trace, now)
        return self._shared(access, facts)

    async def decide(
        self, interaction: Interaction, access: Access, grant: Grant, trace: Trace, now: float
    ) -> tuple[Allow, Grant]:
        """What is allowed, and the grant that says so, with a fact that it needed. Raises `Refused`."""
        decision = decide(interaction, grant)
        if isinstance(decision, Need):
            grant = await self._informed(access, decision, trace, now)
            decision = decide(interaction, grant)
        if isinstance(decision, Deny):
            raise Refused.because(decision)
        if isinstance(decision, Need):
            # A fact that was looked up and is still missing: the user reaches nothing.
            raise Refused(Reason.USER_REACH_UNKNOWN)
        return decision, grant

    def _shared(self, access: Access, facts: Facts | None) -> Grant:
        # The scopes themselves, not their text: two issuers may read one text differently (decode_scope_slash).
        key = (access.scopes, access.patient, access.patient_problem, access.user, facts)
        grant = self._by_meaning.get(key)
        if grant is None:
            grant = Grant(access, self._rules) if facts is None else Grant(access, self._rules, facts)
            self._by_meaning[key] = grant
            if len(self._by_meaning) > self._entries:
                self._by_meaning.popitem(last=False)
        return grant
