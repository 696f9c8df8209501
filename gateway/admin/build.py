"""Builds the admin port of one configuration: its services, and the application that answers."""

from collections.abc import Callable

from gateway.admin.accounts import AdminAccounts
from gateway.admin.administration import Administration
from gateway.admin.application import build_application
from gateway.admin.decisions import Decisions
from gateway.admin.health import HealthChecks, SystemHealth
from gateway.admin.lasting_parts import LastingAdminParts
from gateway.admin.launches import ManagedLaunches
from gateway.admin.recorded_changes import RecordedChanges
from gateway.admin.sessions import AdminSessions
from gateway.admin.sign_in import PasswordSignIn, ProviderSignIn, TokenSignIn
from gateway.asgi.types import ASGIApplication
from gateway.settings.model import Settings
from gateway.smart_server.administration.client_registration import ClientRegistration
from gateway.smart_server.administration.clients import ManagedClients
from gateway.smart_server.administration.configuration import ManagedConfiguration
from gateway.smart_server.administration.grants import ManagedGrants
from gateway.smart_server.administration.keys import ManagedKeys
from gateway.smart_server.administration.user_sessions import ManagedSessions
from gateway.smart_server.administration.users import ManagedUsers
from gateway.smart_server.dependencies import Dependencies


def build_admin_application(
    settings: Settings,
    dependencies: Dependencies,
    lasting: LastingAdminParts,
    checks: HealthChecks,
    can_record: Callable[[], bool],
) -> ASGIApplication:
    """The application of the admin port. `dependencies` are those of the SMART server of the same configuration.

    `can_record` says whether events would be kept now.
    """
    administration = build_administration(settings, dependencies, lasting, checks)
    return RecordedChanges(build_application(administration), can_record)


def build_administration(
    settings: Settings, dependencies: Dependencies, lasting: LastingAdminParts, checks: HealthChecks
) -> Administration:
    """The services of the admin port."""
    accounts = AdminAccounts(settings.admin, dependencies.users)
    provider = dependencies.admin_provider
    return Administration(
        settings=settings,
        smart_server=dependencies,
        sessions=AdminSessions(settings.admin, dependencies, accounts),
        password_sign_in=PasswordSignIn(dependencies, accounts),
        token_sign_in=TokenSignIn(dependencies, accounts),
        provider_sign_in=(
            None if provider is None else ProviderSignIn(settings.admin, dependencies, accounts, provider)
        ),
        clients=ManagedClients(dependencies, ClientRegistration(dependencies)),
        users=ManagedUsers(dependencies),
        user_sessions=ManagedSessions(dependencies),
        grants=ManagedGrants(dependencies),
        launches=ManagedLaunches(dependencies),
        keys=ManagedKeys(dependencies),
        configuration=ManagedConfiguration(dependencies),
        decisions=Decisions(lasting.recent, settings.rules()),
        health=SystemHealth(checks, settings.upstream.base_url, dependencies, lasting.audit),
    )
