"""Compiled grants, shared by all tokens that grant the same (performance.md rule 5)."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.request.interaction import Interaction
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Deny, NeedUserCompartments, Permitted
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import UserFacts
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.user_reach.user_compartments import UserCompartments
from gateway.scopes.model import Scope

_Key = tuple[tuple[Scope, ...], str | None, object, object, UserFacts | None, object]


class GrantCache:
    """A bounded cache of grants. A grant depends on scopes, patient and user, never on the client."""

    def __init__(self, rules: Rules, users: UserCompartments, *, entries: int) -> None:
        """The CapabilityStatement counts as unknown until `set_unsupported_parameters` is called."""
        self._rules = replace(rules, has_capability_statement=False)
        self._users = users
        self._max_entries = entries
        self._is_server_supported = True
        self._by_access: OrderedDict[int, tuple[Access, Grant]] = OrderedDict()
        self._by_content: OrderedDict[_Key, Grant] = OrderedDict()

    def set_unsupported_parameters(self, unsupported: Mapping[str, frozenset[str]]) -> bool:
        """Set the search parameters that the FHIR server does not support, by resource type.

        Returns whether that is a change. If so, all grants are discarded and compiled again when needed.
        """
        rules = replace(self._rules, unsupported_parameters=unsupported, has_capability_statement=True)
        if rules == self._rules:
            return False
        self._rules = rules
        self._discard_grants()
        return True

    def set_conditional_deletes(self, resource_types: frozenset[str]) -> None:
        """Set the types for which the FHIR server declares conditional deletes."""
        if resource_types != self._rules.conditional_delete_types:
            self._rules = replace(self._rules, conditional_delete_types=resource_types)
            self._discard_grants()

    def set_server_supported(self, is_supported: bool) -> None:
        """Set whether the FHIR server is one whose resources can be judged. If it is not, there are no grants."""
        if is_supported is not self._is_server_supported:
            self._is_server_supported = is_supported
            self._discard_grants()

    def _discard_grants(self) -> None:
        self._by_access.clear()
        self._by_content.clear()

    def for_access(self, access: Access) -> Grant:
        """The grant of a token, without facts that must be looked up. Raises `RequestRefused`."""
        cached = self._by_access.get(id(access))
        if cached is not None:
            return cached[1]
        if not self._is_server_supported:
            raise RequestRefused(Reason.UPSTREAM_VERSION_UNSUPPORTED)
        grant = self._shared_grant(access, None)
        # The access is kept beside its grant, so that its id cannot be reused while the entry exists.
        self._by_access[id(access)] = (access, grant)
        if len(self._by_access) > self._max_entries:
            self._by_access.popitem(last=False)
        return grant

    async def decide(
        self, interaction: Interaction, access: Access, grant: Grant, trace: UpstreamTrace, now: float
    ) -> tuple[Permitted, Grant]:
        """What is allowed, and under which grant: one with facts, if the decision needed them.

        `now` is in seconds since the epoch. Raises `RequestRefused`.
        """
        decision = decide(interaction, grant)
        if isinstance(decision, NeedUserCompartments):
            facts = await self._users.look_up(decision.unresolved_reach.user, trace, now)
            grant = self._shared_grant(access, facts)
            decision = decide(interaction, grant)
        if isinstance(decision, Deny):
            refused = RequestRefused.from_decision(decision)
            refused.decided_under = grant
            raise refused
        if isinstance(decision, NeedUserCompartments):
            # The fact was looked up and is still missing, so the user reaches nothing.
            raise RequestRefused(Reason.USER_REACH_UNKNOWN)
        return decision, grant

    def _shared_grant(self, access: Access, facts: UserFacts | None) -> Grant:
        # The key has the parsed scopes: two issuers may read the same text differently (decode_scope_slash).
        claims = self._rules.decisive_claims(access)
        key = (access.scopes, access.patient, access.patient_problem, access.user, facts, claims)
        grant = self._by_content.get(key)
        if grant is None:
            grant = Grant(access, self._rules) if facts is None else Grant(access, self._rules, facts)
            self._by_content[key] = grant
            if len(self._by_content) > self._max_entries:
                self._by_content.popitem(last=False)
        return grant
