"""What users granted: opened once, ended for good, and every worker told of the end."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from gateway.oauth.authorization import Authorization
from gateway.storage.records import decode, encode
from gateway.storage.store import Store

_ENDED = b'"ended"'
_CHANNEL = "ended-authorizations"
# Longer than anything that could still open an authorization: a code, or an exchange under way.
_END_IS_REMEMBERED = 24 * 3600.0


class Authorizations:
    """All grants by id, and by user."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(self, authorization: Authorization, lifetime: float) -> bool:
        """Begin; False where it was opened or ended before, so that nothing may come of it. `lifetime`: seconds."""
        opened = await self._store.put_new(_key(authorization.authorization_id), encode(authorization), lifetime)
        if opened and authorization.user is not None:
            await self._store.add(
                _user_key(authorization.user.subject), authorization.authorization_id, max(lifetime, 60.0)
            )
        return opened

    async def get(self, authorization_id: str) -> Authorization | None:
        """The grant, if it has not ended."""
        return decode(await self._store.get(_key(authorization_id)), Authorization)

    async def prolong(self, authorization: Authorization, lifetime: float) -> bool:
        """Let it live that many seconds from now; False where it has ended meanwhile."""
        data = encode(authorization)
        prolonged = await self._store.replace(_key(authorization.authorization_id), data, data, lifetime)
        if prolonged and authorization.user is not None:
            await self._store.add(_user_key(authorization.user.subject), authorization.authorization_id, lifetime)
        return prolonged

    async def end(self, authorization_id: str) -> None:
        """End it and all that came of it, in every worker; also one that is not opened yet (edge case 46)."""
        await self._store.put(_key(authorization_id), _ENDED, _END_IS_REMEMBERED)
        await self._store.publish(_CHANNEL, authorization_id)

    async def end_client(self, client_id: str) -> None:
        """Tell every worker that a client may do nothing any more, whatever was granted to it."""
        await self._store.publish(_CHANNEL, client_id)

    async def of_user(self, subject: str) -> list[Authorization]:
        """What the user granted and has not ended, the latest first."""
        found = []
        for authorization_id in await self._store.members(_user_key(subject)):
            authorization = await self.get(authorization_id)
            if authorization is None:
                await self._store.remove(_user_key(subject), authorization_id)
            else:
                found.append(authorization)
        return sorted(found, key=lambda one: -one.granted_at)

    async def ended(self) -> AsyncIterator[str]:
        """The ids of authorizations, and of clients, as they end, from now on.

        Raises `StoreAwayError` when the store goes away.
        """
        async with aclosing(self._store.listen(_CHANNEL)) as messages:
            async for message in messages:
                yield message


def _key(authorization_id: str) -> str:
    return f"authorization:{authorization_id}"


def _user_key(subject: str) -> str:
    return f"authorizations-of:{subject}"
