"""Authorizations: what users granted to clients. All workers learn when one ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

from gateway.oauth.authorization import Authorization
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.batches import run_in_batches
from gateway.storage.record_encoding import decode, encode

_ENDED = b'"ended"'
# Longer than anything that could still open an authorization: a code, or a code exchange in progress.
_ENDED_MARKER_SECONDS = 24 * 3600.0
_MIN_INDEX_SECONDS = 60.0


class Authorizations:
    """All authorizations by id, and their ids by user, client, patient and session.

    An index has the ids of authorizations that are not open yet too, but have a code: so they can be ended as well.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def announce(self, authorization: Authorization, session_id: str | None, lifetime: float) -> None:
        """Enter an authorization into the indexes before its code exists, which lives for `lifetime` seconds.

        `session_id` is that of the session in which it was granted.
        """
        session_keys = () if session_id is None else (_session_key(session_id),)
        keys = (*_index_keys(authorization), *session_keys)
        await self._add_to(keys, authorization.authorization_id, lifetime)

    async def open(self, authorization: Authorization, lifetime: float, *, session_id: str | None = None) -> bool:
        """Store a new authorization for `lifetime` seconds.

        Return False if it was opened or ended before: then no tokens may be issued for it. `session_id` is that of
        `announce`; from now on, only online access ends with its session.
        """
        authorization_id = authorization.authorization_id
        # The indexes come first: what is open can be found, and so can be ended.
        await self._add_to(_open_keys(authorization), authorization_id, lifetime)
        opened = await self._store.put_new(_key(authorization_id), encode(authorization), lifetime)
        if session_id is not None and session_id != authorization.session_id:
            await self._store.remove_member(_session_key(session_id), authorization_id)
        return opened

    async def get(self, authorization_id: str) -> Authorization | None:
        """The authorization, unless it has ended."""
        return decode(await self._store.get(_key(authorization_id)), Authorization)

    async def prolong(self, authorization: Authorization, lifetime: float) -> bool:
        """Let it live for `lifetime` seconds from now. Return False if it has ended meanwhile."""
        data = encode(authorization)
        await self._add_to(_open_keys(authorization), authorization.authorization_id, lifetime)
        return await self._store.replace(_key(authorization.authorization_id), data, data, lifetime)

    async def end(self, authorization_id: str) -> None:
        """End the authorization and all its tokens in every worker, even before it is opened (edge case 46)."""
        await self._store.put(_key(authorization_id), _ENDED, _ENDED_MARKER_SECONDS)
        await self._store.publish(store_keys.ENDED_CHANNEL, authorization_id)

    async def publish_client_end(self, client_id: str) -> None:
        """Tell every worker that the client has lost all access."""
        await self._store.publish(store_keys.ENDED_CHANNEL, client_id)

    async def find_ids(
        self, *, subject: str | None = None, client_id: str | None = None, patient: str | None = None
    ) -> frozenset[str]:
        """The ids of the authorizations that fit all that is given; at least one must be.

        Some of them may have ended, or have only a code so far.
        """
        indexes = await asyncio.gather(*map(self._store.members, _keys_of(subject, client_id, patient)))
        return frozenset.intersection(*indexes)

    async def find_ids_of_session(self, session_id: str) -> frozenset[str]:
        """The ids of the authorizations that end with a session."""
        return await self._store.members(_session_key(session_id))

    async def list(
        self, *, subject: str | None = None, client_id: str | None = None, patient: str | None = None
    ) -> tuple[Authorization, ...]:
        """The open authorizations that fit all that is given, the latest first. Arguments as for `find_ids`."""
        ids = await self.find_ids(subject=subject, client_id=client_id, patient=patient)
        found = await run_in_batches(self.get, ids)
        opened = [authorization for authorization in found if authorization is not None]
        return tuple(sorted(opened, key=lambda authorization: -authorization.granted_at))

    async def listen_for_ends(self) -> AsyncIterator[str | None]:
        """The ids of authorizations and of clients whose access ends from now on.

        None comes first, and after every interruption: ends before it may have been missed. Raises
        `StoreUnavailableError` when the connection to the store is lost.
        """
        async with aclosing(self._store.listen(store_keys.ENDED_CHANNEL)) as messages:
            async for message in messages:
                yield message

    async def _add_to(
        self, index_keys: Iterator[str] | tuple[str, ...], authorization_id: str, lifetime: float
    ) -> None:
        index_lifetime = max(lifetime, _MIN_INDEX_SECONDS)
        await asyncio.gather(*(self._store.add_member(key, authorization_id, index_lifetime) for key in index_keys))


def _key(authorization_id: str) -> str:
    return store_keys.AUTHORIZATION + authorization_id


def _keys_of(subject: str | None, client_id: str | None, patient: str | None) -> Iterator[str]:
    if subject is not None:
        yield store_keys.AUTHORIZATIONS_OF_USER + subject
    if client_id is not None:
        yield store_keys.AUTHORIZATIONS_OF_CLIENT + client_id
    if patient is not None:
        yield store_keys.AUTHORIZATIONS_OF_PATIENT + patient


def _index_keys(authorization: Authorization) -> Iterator[str]:
    user = authorization.user
    subject = None if user is None else user.subject
    return _keys_of(subject, authorization.client_id, authorization.context.patient)


def _open_keys(authorization: Authorization) -> tuple[str, ...]:
    session_id = authorization.session_id
    return (*_index_keys(authorization), *(() if session_id is None else (_session_key(session_id),)))


def _session_key(session_id: str) -> str:
    return store_keys.AUTHORIZATIONS_OF_SESSION + session_id
