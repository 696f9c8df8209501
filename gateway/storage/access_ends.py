"""Ends access: of one authorization, of a session, or of everything that a user or a client has."""

from collections.abc import Iterable

from gateway.storage.accounts.user_states import UserStates
from gateway.storage.batches import run_in_batches
from gateway.storage.sessions import Sessions
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.refresh_tokens import RefreshTokens


class AccessEnds:
    """Ends access at once, in every worker.

    What is granted, redeemed or refreshed at the same moment stays ended too: an authorization is in its indexes before
    its code exists, its end is a marker that it cannot be opened over, and what a session or a user's generation
    carries is checked again after it was opened.
    """

    def __init__(
        self, authorizations: Authorizations, refresh_tokens: RefreshTokens, sessions: Sessions, users: UserStates
    ) -> None:
        self._authorizations = authorizations
        self._refresh_tokens = refresh_tokens
        self._sessions = sessions
        self._users = users

    async def end_authorization(self, authorization_id: str) -> None:
        """End an authorization, its code and all of its tokens."""
        await self._authorizations.end(authorization_id)
        await self._refresh_tokens.end_family(authorization_id)

    async def end_authorizations(self, authorization_ids: Iterable[str]) -> None:
        """End several authorizations."""
        await run_in_batches(self.end_authorization, authorization_ids)

    async def end_session(self, session_id: str) -> None:
        """End a session and what was granted for it: codes not yet redeemed, and online access (RF-2, edge case 62)."""
        await self._sessions.end(session_id)
        await self.end_authorizations(await self._authorizations.find_ids_of_session(session_id))

    async def end_sessions(self, session_ids: Iterable[str]) -> None:
        """End several sessions."""
        for session_id in session_ids:
            await self.end_session(session_id)

    async def end_user(self, subject: str) -> None:
        """End everything that the user signed in to, granted, or is about to grant; remembered consents too."""
        await self._users.start_generation(subject)
        await self.end_sessions(await self._sessions.find_ids_of_user(subject))
        await self.end_authorizations(await self._authorizations.find_ids(subject=subject))

    async def end_client(self, client_id: str) -> None:
        """End everything that was granted to the client."""
        await self._authorizations.publish_client_end(client_id)
        await self.end_authorizations(await self._authorizations.find_ids(client_id=client_id))
