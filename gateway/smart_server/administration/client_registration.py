"""Registers and changes clients while the gateway runs, for the admin API and for `/register`."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.credentials.passwords import hash_password
from gateway.settings.authorization.clients import ClientEntry
from gateway.settings.authorization.weak_secrets import WEAK_SECRET, is_weak_secret
from gateway.smart_server.administration.admin_error import AdminRequestError, validation_problems
from gateway.smart_server.dependencies import Dependencies
from gateway.telemetry.server_event import EventKind

SECRET_MEMBERS = frozenset({"client_secret", "client_secret_hash"})
# Each time somebody else was quicker.
_MAX_ATTEMPTS = 16
STATE_MEMBERS = frozenset({"disabled", "registered_at", "self_registered"})
"""The members of a stored entry that only the gateway sets."""


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """The entry of a client without secrets, and the secret that was generated now, which nobody can read again."""

    entry: Mapping[str, Any]
    secret: str | None

    def members(self) -> dict[str, Any]:
        """Both as one JSON object."""
        return {**self.entry} if self.secret is None else {**self.entry, "client_secret": self.secret}


class ClientRegistration:
    """Validates and stores clients."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def register(
        self, body: dict[str, Any], *, self_registered: bool = False, replaces: bool = False
    ) -> RegisteredClient:
        """Register a client.

        `self_registered`: the app registered itself, no operator did. `replaces`: a registered client of this client_id
        is replaced; otherwise it is a conflict. Raises `AdminRequestError`.
        """
        checked = await self._check_entry({"client_id": secrets.token_urlsafe(16), **body})
        client_id = checked.client_id
        if self._dependencies.clients.is_configured(client_id):
            raise AdminRequestError(409, "The configuration has a client of this client_id.")
        stored = {**checked.members, "registered_at": await self._registered_at(client_id)}
        if self_registered:
            stored["self_registered"] = True
        registrations = self._dependencies.storage.registrations
        if not await registrations.add_client(client_id, stored):
            if not replaces:
                raise AdminRequestError(409, f"A client {client_id!r} is registered already, and would be replaced.")
            await registrations.put_client(client_id, stored)
        self._dependencies.record_event(EventKind.CLIENT_REGISTERED, client_id=client_id)
        return checked.registered()

    async def update(self, client_id: str, changes: dict[str, Any], *, reason: str | None = None) -> RegisteredClient:
        """Change members of a registered client, and remove those that are null (RFC 7396).

        `disabled` enables or disables it. `reason` is that of the event. Raises `AdminRequestError`.
        """
        stored = await self.find_registered(client_id)
        disabled = changes.get("disabled", stored.get("disabled", False))
        if not isinstance(disabled, bool):
            raise AdminRequestError(400, "disabled: must be true or false")
        if changes.get("client_id", client_id) != client_id:
            raise AdminRequestError(400, "client_id: cannot be changed")
        kept = {name: value for name, value in stored.items() if name not in STATE_MEMBERS}
        if SECRET_MEMBERS & changes.keys():
            kept = {name: value for name, value in kept.items() if name not in SECRET_MEMBERS}
        merged = {**kept, **{name: value for name, value in changes.items() if name not in STATE_MEMBERS}}
        checked = await self._check_entry({name: value for name, value in merged.items() if value is not None})
        entry = {**_state_of(stored), **checked.members, "disabled": disabled}
        await self.replace(client_id, stored, entry)
        if disabled:
            await self._dependencies.storage.ends.end_client(client_id)
        self._dependencies.record_event(EventKind.CLIENT_UPDATED, client_id=client_id, reason=reason)
        return checked.registered()

    async def replace(self, client_id: str, stored: dict[str, Any], entry: dict[str, Any]) -> None:
        """Store a new entry in the place of the one that it was made from.

        Raises `AdminRequestError` if somebody else was quicker: what they changed, or that they have disabled or
        removed the app, would be undone.
        """
        if not await self._dependencies.storage.registrations.replace_client(client_id, stored, entry):
            raise AdminRequestError(409, f"The client {client_id!r} was changed meanwhile. Look at it again.")

    async def disable(self, client_id: str) -> None:
        """Refuse the client from now on, whatever others change meanwhile. Raises `AdminRequestError`."""
        for _ in range(_MAX_ATTEMPTS):
            stored = await self.find_registered(client_id)
            registrations = self._dependencies.storage.registrations
            if await registrations.replace_client(client_id, stored, {**stored, "disabled": True}):
                return
        raise AdminRequestError(409, f"The client {client_id!r} is being changed again and again.")

    async def find_registered(self, client_id: str) -> dict[str, Any]:
        """The stored entry of a client that was registered while the gateway runs. Raises `AdminRequestError`."""
        if self._dependencies.clients.is_configured(client_id):
            raise AdminRequestError(409, f"The client {client_id!r} is in the configuration, and is changed there.")
        entry = await self._dependencies.storage.registrations.get_client(client_id)
        if entry is None:
            raise AdminRequestError(404, f"The client {client_id!r} was not registered by the admin API.")
        return entry

    async def _check_entry(self, members: dict[str, Any]) -> "_CheckedEntry":
        return await _check_entry(members, allows_weak_secrets=self._dependencies.allows_weak_secrets)

    async def _registered_at(self, client_id: str) -> float:
        """A new entry of an enabled client keeps its time. Otherwise the client_id belongs to a new app."""
        previous = await self._dependencies.clients.find_enabled(client_id)
        return self._dependencies.clock() if previous is None else previous.registered_at


@dataclass(frozen=True, slots=True)
class _CheckedEntry:
    """A valid entry as it is stored, and the secret that was generated for it."""

    client_id: str
    members: dict[str, Any]
    secret: str | None

    def registered(self) -> RegisteredClient:
        shown = {name: value for name, value in self.members.items() if name not in SECRET_MEMBERS}
        return RegisteredClient(shown, self.secret)


def _state_of(stored: dict[str, Any]) -> dict[str, Any]:
    """The members that only the gateway sets."""
    return {name: stored[name] for name in STATE_MEMBERS if name in stored}


async def _check_entry(members: dict[str, Any], *, allows_weak_secrets: bool) -> _CheckedEntry:
    """The entry with its secret hashed; one is generated where it is needed. Raises `AdminRequestError`."""
    body, secret = dict(members), None
    if body.get("type") == "confidential-symmetric" and not SECRET_MEMBERS & body.keys():
        secret = body["client_secret"] = secrets.token_urlsafe(32)
    try:
        entry = ClientEntry.model_validate(body)
    except ValidationError as error:
        raise AdminRequestError(400, *validation_problems(error)) from error
    stored = {name: value for name, value in body.items() if name != "client_secret"}
    if entry.client_secret is not None:
        text = entry.client_secret.get_secret_value()
        if is_weak_secret(text) and not allows_weak_secrets:
            raise AdminRequestError(400, f"client_secret: {WEAK_SECRET}")
        stored["client_secret_hash"] = await asyncio.to_thread(hash_password, text)
    return _CheckedEntry(entry.client_id, stored, secret)
