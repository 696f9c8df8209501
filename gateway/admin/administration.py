"""Everything that the pages and the API of the admin port need."""

from dataclasses import dataclass

from gateway.admin.decisions import Decisions
from gateway.admin.health import SystemHealth
from gateway.admin.launches import ManagedLaunches
from gateway.admin.sessions import AdminSessions
from gateway.admin.sign_in import PasswordSignIn, ProviderSignIn, TokenSignIn
from gateway.settings.model import Settings
from gateway.smart_server.administration.clients import ManagedClients
from gateway.smart_server.administration.configuration import ManagedConfiguration
from gateway.smart_server.administration.grants import ManagedGrants
from gateway.smart_server.administration.keys import ManagedKeys
from gateway.smart_server.administration.user_sessions import ManagedSessions
from gateway.smart_server.administration.users import ManagedUsers
from gateway.smart_server.dependencies import Dependencies


@dataclass(frozen=True, slots=True)
class Administration:
    """The services, under one configuration. `smart_server` is what they stand on."""

    settings: Settings
    smart_server: Dependencies
    sessions: AdminSessions
    password_sign_in: PasswordSignIn
    token_sign_in: TokenSignIn
    provider_sign_in: ProviderSignIn | None
    clients: ManagedClients
    users: ManagedUsers
    user_sessions: ManagedSessions
    grants: ManagedGrants
    launches: ManagedLaunches
    keys: ManagedKeys
    configuration: ManagedConfiguration
    decisions: Decisions
    health: SystemHealth

    @property
    def uses_https(self) -> bool:
        """Whether browsers reach the admin port by https."""
        return self.settings.admin.uses_https

    @property
    def base_url(self) -> str:
        """Where browsers reach it; empty where that is not configured."""
        return self.settings.admin.base_url or ""
