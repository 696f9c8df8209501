"""Gateways some of whose clients are in shadow mode, and what is known beforehand of requests to them."""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.telemetry.request_record import RequestRecord
from tests.proxy.running_gateway import ISSUER, RunningGateway, running_gateway

AUDIENCE = "urn:the-fhir-server"
OTHER_ISSUER = "https://other.example"
SHADOWED, EXPIRED, UNLISTED = "shadowed", "expired", "unlisted"
DAY = 86400.0
# Links of two gateways are comparable if both have the same key.
PAGING = {"key": "c2hhZG93IG1vZGUga2V5IHdpdGggMzIgYnl0ZXMgb2Y="}
# What differs from gateway to gateway and from moment to moment, and tells nothing.
_HANDLE = re.compile(rb"_page=[^\"&]+")


def moment(seconds_from_now: float) -> str:
    """A moment as the setting `until` has it."""
    return moment_at(time.time() + seconds_from_now)


def moment_at(seconds: float) -> str:
    """The same of seconds since the epoch."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def entries(*, also_for: str | None = None, **options: Any) -> list[dict[str, Any]]:
    """A client that is in shadow mode, and one whose time is over; `also_for` is an issuer all of whose clients are."""
    everybody = [] if also_for is None else [{"issuer": also_for, "until": moment(DAY)}]
    return [
        {"issuer": ISSUER, "client_id": SHADOWED, "until": moment(DAY), **options},
        {"issuer": ISSUER, "client_id": EXPIRED, "until": moment(-60), **options},
        *everybody,
    ]


@contextlib.asynccontextmanager
async def shadow_gateway(upstream: str, folder: Path, /, **settings: Any) -> AsyncIterator[RunningGateway]:
    """A gateway that trusts two issuers with the same keys, and knows what the FHIR server declares."""
    issuers = [
        {"issuer": issuer, "audiences": [AUDIENCE], "jwks_file": str(folder / "jwks.json")}
        for issuer in (ISSUER, OTHER_ISSUER)
    ]
    async with running_gateway(upstream, folder, **{"issuers": issuers, "paging": PAGING, **settings}) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway


async def ask(
    gateway: RunningGateway, path: str, scope: str = "patient/*.rs", client: str = SHADOWED, **options: Any
) -> httpx2.Response:
    """A request of a client, for patient A unless `claims` say otherwise."""
    claims = {"aud": AUDIENCE, "client_id": client, **options.pop("claims", {})}
    return await gateway.request(path, scope, claims=claims, **options)


async def ask_and_look(
    gateway: RunningGateway, path: str, scope: str = "patient/*.rs", client: str = SHADOWED, **options: Any
) -> tuple[httpx2.Response, RequestRecord]:
    """The response to a request, and its record."""
    response = await ask(gateway, path, scope, client, **options)
    return response, last_record(gateway, response)


def last_record(gateway: RunningGateway, response: httpx2.Response) -> RequestRecord:
    """The record of a response."""
    decision_id = response.headers["x-decision-id"]
    return next(record for record in reversed(gateway.telemetry.records) if record.decision_id == decision_id)


def plain_answer(gateway: RunningGateway, response: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    """All that an answer says, without the address of the gateway, the ids of the request and the time."""
    base = gateway.base_url.encode()
    headers = {
        name: value.replace(gateway.base_url, "BASE")
        for name, value in response.headers.items()
        if name not in {"date", "x-request-id", "x-decision-id"}
    }
    return response.status_code, headers, _HANDLE.sub(b"_page=HANDLE", response.content.replace(base, b"BASE"))


@dataclass(frozen=True)
class Expected:
    """What enforcement makes of a request."""

    path: str
    scope: str = "patient/*.rs"
    reason: Reason = Reason.PERMITTED
    required_scope: str = ""
    dropped: Mapping[tuple[str, Reason], int] = field(default_factory=dict)
    rewritten: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def describes(self, outcome: ShadowOutcome | None) -> bool:
        """Whether the outcome is that."""
        assert outcome is not None
        said = outcome.reason, outcome.required_scope, dict(outcome.dropped), outcome.rewritten, outcome.left_out
        assert said == (self.reason, self.required_scope, dict(self.dropped), self.rewritten, self.left_out)
        return True
