"""Ends at start and after a reload what users and clients have that the configuration no longer has."""

import logging

from gateway.settings.authorization.smart_server import LocalUserEntry, SmartServer
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.accounts.configured_accounts import Configured
from gateway.storage.tokens.opaque_tokens import digest
from gateway.telemetry.server_event import EventKind

_log = logging.getLogger(__name__)


async def end_removed_access(
    settings: SmartServer, dependencies: Dependencies, replaced: SmartServer | None = None
) -> None:
    """End the access of users and clients that were removed from the configuration since the last start.

    A user with another password, another resource or other roles has to sign in again too. `replaced` are the settings
    that this process had until now. What they had is ended too, whatever another process has ended already: until now,
    somebody could still sign in here. Raises `StoreUnavailableError`; the next start then finds the same differences.
    """
    storage = dependencies.storage
    stored, current = await storage.configured.get(), _read_configured(settings)
    replaced_here = None if replaced is None else _read_configured(replaced)
    earlier = [one for one in (stored, replaced_here) if one is not None]
    changed = {name for one in earlier for name, sign_in in one.users.items() if current.users.get(name) != sign_in}
    for username in sorted(changed):
        await storage.ends.end_user(username)
        dependencies.record_event(EventKind.USER_ENDED, subject=username, reason="configuration")
        _log.info("a user was removed or changed in the configuration", extra={"subject": username})
    for client_id in sorted({name for one in earlier for name in one.client_ids} - {*current.client_ids}):
        await storage.ends.end_client(client_id)
        dependencies.record_event(EventKind.CLIENT_REMOVED, client_id=client_id, reason="configuration")
        _log.info("a client was removed from the configuration", extra={"client_id": client_id})
    if stored != current:
        await storage.configured.put(current)


def _read_configured(settings: SmartServer) -> Configured:
    return Configured(
        users={entry.username: _sign_in_digest(entry) for entry in settings.users},
        client_ids=tuple(entry.client_id for entry in settings.clients),
    )


def _sign_in_digest(entry: LocalUserEntry) -> str:
    roles = "".join(f"\n{role}" for role in sorted(entry.roles))
    return digest(f"{entry.fhir_user or ''}\n{entry.password_hash}{roles}")
