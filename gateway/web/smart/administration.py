"""The admin API: clients and users that are added while the gateway runs, and the rotation of signing keys."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response

from gateway.keys.passwords import hash_password
from gateway.keys.signing import PUBLISHED_AHEAD, SigningKey, SigningKeys, make_key, read_key
from gateway.oauth.answers import introspection_answer
from gateway.oauth.client import Client
from gateway.settings.clients import ClientEntry
from gateway.settings.section import CONFLICTS, Conflict
from gateway.settings.smart_server import LocalUserEntry
from gateway.storage.registrations import LocalUser
from gateway.storage.signing_keys import StoredKey, StoredKeys
from gateway.telemetry.event import EventKind
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import BodyTooLargeError, json_answer, read_body
from gateway.web.smart.tries import TooManyTriesError, Tries

_SECRET_MEMBERS = frozenset({"client_secret", "client_secret_hash"})


class EntryError(Exception):
    """An entry that is not taken; every problem is told."""

    def __init__(self, status: int, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.status = status
        self.problems = problems


class Administration:
    """Endpoints below `/admin`, for whoever holds the admin token."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts
        self._tries = Tries(parts.remembered.attempts)

    async def clients(self, request: Request) -> Response:
        """GET: all clients. POST: add one; a secret that we make is told once."""
        return await self._guarded(request, self._list if request.method == "GET" else self._add)

    async def client(self, request: Request) -> Response:
        """GET: one client, in short where the configuration has it.

        DELETE: disable it; all that was granted to it is refused from then on.
        """
        return await self._guarded(request, self._show if request.method == "GET" else self._disable)

    async def users(self, request: Request) -> Response:
        """POST: add a local user, or put another in their place."""
        return await self._guarded(request, self._add_user)

    async def token(self, request: Request) -> Response:
        """POST: what an access token of ours stands for, for `smart-gateway explain`."""
        return await self._guarded(request, self._explain)

    async def rotate(self, request: Request) -> Response:
        """POST: make the next signing key, which is published now and signs in an hour."""
        return await self._guarded(request, self._rotate)

    async def _guarded(self, request: Request, endpoint: Any) -> Response:
        try:
            known = await self._is_operator(request)
        except TooManyTriesError:
            problem = {"problems": ["Too many wrong tokens. Please wait a minute."]}
            return json_answer(problem, status=429, headers={"retry-after": "60"})
        if not known:
            challenge = {"www-authenticate": 'Bearer realm="admin"'}
            return json_answer(
                {"problems": ["The admin token is missing or not right."]}, status=401, headers=challenge
            )
        try:
            return await endpoint(request)  # type: ignore[no-any-return]  # one of the four below
        except EntryError as error:
            return json_answer({"problems": list(error.problems)}, status=error.status)

    async def _is_operator(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = self._parts.admin_token_digest
        if known is None or scheme.lower() != "bearer":
            return False
        return await self._tries.is_right("operator", token.strip(), known, request)

    async def _list(self, _: Request) -> Response:
        listed = [self._summary(one) for one in await self._parts.clients.all()]
        return json_answer({"clients": listed})

    def _summary(self, client: Client) -> dict[str, Any]:
        return {
            "client_id": client.client_id,
            "name": client.name,
            "authentication": client.authentication.value,
            "disabled": client.disabled,
            "from": "configuration" if self._parts.clients.is_configured(client.client_id) else "registration",
        }

    async def _show(self, request: Request) -> Response:
        client_id = request.path_params["client_id"]
        client = await self._parts.clients.look_up(client_id)
        if client is not None and self._parts.clients.is_configured(client_id):
            return json_answer(self._summary(client))
        entry = await self._parts.remembered.registrations.client(client_id)
        if entry is None:
            raise EntryError(404, f"The client {client_id!r} is unknown here.")
        return json_answer({name: value for name, value in entry.items() if name not in _SECRET_MEMBERS})

    async def _add(self, request: Request) -> Response:
        body = await _json(request)
        told = await self.register(body)
        return json_answer(told, status=201)

    async def register(self, body: dict[str, Any], *, itself: bool = False) -> dict[str, Any]:
        """Take a client; what its owner is told, with a secret that is told only now. Raises `EntryError`.

        `itself`: the app asked, and no operator has looked at it.
        """
        body = {"client_id": secrets.token_urlsafe(16), **body}
        secret = None
        if body.get("type") == "confidential-symmetric" and not _SECRET_MEMBERS & body.keys():
            secret = body["client_secret"] = secrets.token_urlsafe(32)
        try:
            entry = ClientEntry.model_validate(body)
        except ValidationError as error:
            raise EntryError(400, *_problems(error)) from error
        if self._parts.clients.is_configured(entry.client_id):
            raise EntryError(409, "The configuration has a client of this client_id.")
        kept = {name: value for name, value in body.items() if name != "client_secret"}
        if entry.client_secret is not None:
            kept["client_secret_hash"] = await asyncio.to_thread(hash_password, entry.client_secret.get_secret_value())
        stored = {**kept, "registered_at": await self._registered_at(entry.client_id)}
        if itself:
            stored["self_registered"] = True
        await self._parts.remembered.registrations.put_client(entry.client_id, stored)
        self._parts.tell(EventKind.CLIENT_REGISTERED, client_id=entry.client_id)
        told = {name: value for name, value in kept.items() if name not in _SECRET_MEMBERS}
        return told if secret is None else {**told, "client_secret": secret}

    async def _registered_at(self, client_id: str) -> float:
        """Since when the app has this name: a new entry of an enabled one is of the same app, else it is another."""
        before = await self._parts.clients.find(client_id)
        return self._parts.clock() if before is None else before.registered_at

    async def _disable(self, request: Request) -> Response:
        client_id = request.path_params["client_id"]
        entry = await self._parts.remembered.registrations.client(client_id)
        if entry is None:
            raise EntryError(404, f"The client {client_id!r} was not registered by the admin API.")
        await self._parts.remembered.registrations.put_client(client_id, {**entry, "disabled": True})
        await self._parts.remembered.authorizations.end_client(client_id)
        self._parts.tell(EventKind.CLIENT_DISABLED, client_id=client_id)
        return json_answer({"client_id": client_id, "disabled": True})

    async def _add_user(self, request: Request) -> Response:
        body = await _json(request)
        password = body.pop("password", None)
        if isinstance(password, str) and password:
            body["password_hash"] = await asyncio.to_thread(hash_password, password)
        try:
            entry = LocalUserEntry.model_validate(body)
        except ValidationError as error:
            raise EntryError(400, *_problems(error)) from error
        if self._parts.users.is_configured(entry.username):
            raise EntryError(409, "The configuration has a user of this name.")
        before = await self._parts.users.find(entry.username)
        await self._parts.remembered.registrations.put_user(
            LocalUser(entry.username, entry.name, entry.password_hash, entry.fhir_user)
        )
        if before is not None and before.fhir_user != entry.fhir_user:
            await self._end_grants(entry.username)
        self._parts.tell(EventKind.USER_ADDED, subject=entry.username)
        return json_answer({"username": entry.username}, status=201)

    async def _end_grants(self, username: str) -> None:
        """What somebody granted as another person of the FHIR server, or as one, ends with that."""
        for one in await self._parts.remembered.authorizations.of_user(username):
            await self._parts.remembered.end(one.authorization_id)

    async def _explain(self, request: Request) -> Response:
        """As claims; the user's own resource as well, whether or not the app was told of it."""
        token = (await _json(request)).get("token")
        known = None
        if isinstance(token, str):
            known = await self._parts.remembered.access_tokens.get(token, self._parts.clock())
        if known is None:
            raise EntryError(404, "The token is unknown, over or revoked.")
        meaning, authorization = known
        user = authorization.user
        own = {} if user is None or user.fhir_user is None else {"fhirUser": user.fhir_user}
        return json_answer({**introspection_answer(meaning, authorization, self._parts.issuer), **own})

    async def _rotate(self, _: Request) -> Response:
        if self._parts.ring.fixed:
            raise EntryError(409, "The signing key is in a file of the configuration, so that it is rotated there.")
        now = self._parts.clock()
        following = StoredKey(make_key(), now + PUBLISHED_AHEAD)
        lives = [one.access_lifetime or 0 for one in await self._parts.clients.all()]
        longest = max(self._parts.spans.access_token, *lives, 0)
        keys = await self._parts.remembered.signing_keys.rotate(following, forget_before=now - longest)
        self._parts.ring.keys = signing_keys(keys)
        self._parts.tell(EventKind.KEYS_ROTATED)
        return json_answer({"keys": [read_key(one.jwk).kid for one in keys.keys], "signs_from": following.signs_from})


def signing_keys(stored: StoredKeys) -> SigningKeys:
    """The keys of the store, ready to sign."""
    return SigningKeys([SigningKey(read_key(one.jwk), one.signs_from) for one in stored.keys])


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await read_body(request))
    except (orjson.JSONDecodeError, BodyTooLargeError) as error:
        raise EntryError(400, "The body is no JSON, or too large.") from error
    if not isinstance(body, dict):
        raise EntryError(400, "The body must be a JSON object.")
    return body


def _problems(error: ValidationError) -> list[str]:
    """Each with the member that it is about; those between members are told one by one."""
    return [problem for one in error.errors() for problem in _told(one)]


def _told(error: ErrorDetails) -> Iterator[str]:
    conflicts: Iterable[Conflict] = error.get("ctx", {}).get(CONFLICTS, ())
    pairs = [((*error["loc"], *one.path), one.sentence) for one in conflicts] or [(error["loc"], error["msg"])]
    for place, sentence in pairs:
        yield f"{'.'.join(map(str, place)) or 'the entry'}: {sentence}"
