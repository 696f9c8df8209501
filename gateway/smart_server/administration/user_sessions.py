"""The browsers in which a user is signed in."""

from collections.abc import Mapping
from typing import Any

from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.user_naming import read_user
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.batches import run_in_batches
from gateway.storage.sessions import SessionFacts
from gateway.telemetry.server_event import EventKind


class ManagedSessions:
    """Lists and ends sessions. Raises `AdminRequestError` and `StoreUnavailableError`."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def list(self, members: Mapping[str, Any]) -> tuple[SessionFacts, ...]:
        """The sessions of the user that `user` and `provider` name (`read_user`), the latest first."""
        sessions = self._dependencies.storage.sessions
        user = read_user(members, self._dependencies)
        found = await run_in_batches(sessions.describe, sorted(await sessions.find_ids_of_user(user.subject)))
        described = [session for session in found if session is not None]
        return tuple(sorted(described, key=lambda session: -session.signed_in_at))

    async def end(self, session_id: str) -> None:
        """End a session and what lasts as long as it."""
        session = await self._dependencies.storage.sessions.describe(session_id)
        if session is None:
            raise AdminRequestError(404, "There is no such session, or it has ended.")
        await self._dependencies.storage.ends.end_session(session_id)
        self._dependencies.record_event(EventKind.SESSION_ENDED, subject=session.subject, reason="administrator")
