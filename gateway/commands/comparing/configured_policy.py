"""What a configuration makes of a recorded request: first of its token, then of what it asks for."""

from dataclasses import dataclass
from functools import cached_property

from gateway.oauth.client.client import Client
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.recording.outcome import Outcome, describe_outcome
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.policy.recording.replay_request import Policy, Undecidable, recorded_scopes, replay_request
from gateway.scopes.algebra import intersect_scopes
from gateway.scopes.model import Context, ResourceScope, Scope
from gateway.settings.authorization.client_types import read_scopes
from gateway.settings.model import Settings


@dataclass(frozen=True)
class ConfiguredPolicy:
    """A configuration, as far as it decides on requests. `other` is the one that it is compared with.

    With `knows_reach_from`, users reach whom they reached under that configuration where both look it up alike.
    """

    settings: Settings
    other: Settings
    knows_reach_from: Settings

    @cached_property
    def rules(self) -> Rules:
        """The rules of its decisions."""
        return self.settings.rules()

    @cached_property
    def clients(self) -> dict[str, Client]:
        """The apps that it registers."""
        return _clients_of(self.settings)

    @cached_property
    def other_clients(self) -> dict[str, Client]:
        """The apps that the other configuration registers."""
        return _clients_of(self.other)

    def refuse_token(self, recorded: RecordedRequest) -> Reason | None:
        """Why a token of the recorded client and issuer is not accepted; None if it may be."""
        if not self._is_own(recorded):
            known = {entry.issuer for entry in self.settings.issuers}
            return None if recorded.issuer in known else Reason.TOKEN_ISSUER_UNKNOWN
        # An app that neither configuration registers is in the store, which both of them have.
        is_gone = recorded.client_id not in self.clients and recorded.client_id in self.other_clients
        return Reason.TOKEN_INACTIVE if is_gone else None

    def decide(self, recorded: RecordedRequest) -> Outcome | Undecidable:
        """The outcome of the request, of a token that the app got under this configuration."""
        reason = self.refuse_token(recorded)
        if reason is not None:
            return Outcome(reason)
        policy = Policy(self.rules, self.settings.upstream.extra_search_parameters, self._knows_reach(recorded))
        replayed = replay_request(recorded, policy, self._grantable(recorded))
        return replayed if isinstance(replayed, Undecidable) else describe_outcome(replayed)

    def _grantable(self, recorded: RecordedRequest) -> tuple[Scope, ...]:
        """The scopes that were granted, as far as the app may have them here, and its user may grant them."""
        scopes = recorded_scopes(recorded)
        smart_server = self.settings.smart_server
        if smart_server is None or not self._is_own(recorded):
            return scopes
        user_type = (recorded.user or "").partition("/")[0]
        by_user = [
            scope for scope in scopes if isinstance(scope, ResourceScope) and scope.context is not Context.SYSTEM
        ]
        others = [scope for scope in scopes if scope not in by_user]
        limits = next((read_scopes(text) for name, text in smart_server.user_scopes.items() if name == user_type), ())
        limited = (*others, *intersect_scopes(by_user, limits))
        client = self.clients.get(recorded.client_id)
        return limited if client is None or client.scopes is None else _limit(limited, client.scopes)

    def _is_own(self, recorded: RecordedRequest) -> bool:
        return self.settings.smart_server is not None and recorded.issuer == self.settings.smart_server_issuer()

    def _knows_reach(self, recorded: RecordedRequest) -> bool:
        is_relative = recorded.user is not None and recorded.user.startswith("RelatedPerson/")
        return _reach_settings(self.settings, is_relative) == _reach_settings(self.knows_reach_from, is_relative)


def _limit(scopes: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """The scopes of which those for resources lie within the allowed ones."""
    resources = [scope for scope in scopes if isinstance(scope, ResourceScope)]
    limited = intersect_scopes(resources, [scope for scope in allowed if isinstance(scope, ResourceScope)])
    return (*(scope for scope in scopes if not isinstance(scope, ResourceScope)), *limited)


def _clients_of(settings: Settings) -> dict[str, Client]:
    smart_server = settings.smart_server
    return {} if smart_server is None else {entry.client_id: entry.to_client() for entry in smart_server.clients}


def _reach_settings(settings: Settings, is_relative: bool) -> tuple[object, ...]:
    """What decides whom a user is found to reach: a relative, or a practitioner."""
    compartments = settings.compartments
    if is_relative:
        further = compartments.further_related_persons, compartments.related_person_identifier_systems
        return (*further, compartments.max_patients)
    return compartments.practitioner_reach, compartments.panel, compartments.max_patients
