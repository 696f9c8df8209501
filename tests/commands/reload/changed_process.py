"""Changes the configuration file of a running `serve`, and reads what it says of that."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from gateway.credentials.development_key import load_or_create_key, sign_access_token
from tests.commands.serving_process import ISSUER, ServingProcess, until

ADMIN_TOKEN = "a-long-admin-token-for-tests"
IN_FORCE, REFUSED = "another configuration is in force", "the configuration is not changed"
# The issuer that is trusted only after a change.
OTHER_ISSUER = "https://other-issuer.example"


def read_settings(gateway: ServingProcess) -> dict[str, Any]:
    """What is in its file now."""
    return dict(json.loads(_file(gateway).read_text()))


def write_settings(gateway: ServingProcess, **changes: object) -> None:
    """Change top-level settings in the file, which is replaced as a whole; None removes one."""
    values = {name: value for name, value in (read_settings(gateway) | changes).items() if value is not None}
    write_text(gateway, json.dumps(values, indent=1))


def write_text(gateway: ServingProcess, text: str) -> None:
    """Replace the content of the file at once."""
    following = _file(gateway).with_suffix(".new")
    following.write_text(text)
    following.replace(_file(gateway))


def _file(gateway: ServingProcess) -> Path:
    return gateway.folder / "gateway.yaml"


def trusted_issuers(gateway: ServingProcess, *names: str) -> list[dict[str, object]]:
    """The setting `issuers` for issuers that sign with the key of this gateway."""
    return [
        {"issuer": name, "audiences": [gateway.base_url], "jwks_file": str(gateway.folder / "jwks.json")}
        for name in names
    ]


def token_of(gateway: ServingProcess, issuer: str = ISSUER) -> str:
    """An access token that reads all of patient A."""
    claims = {
        "iss": issuer,
        "aud": gateway.base_url,
        "sub": "someone",
        "client_id": "app",
        "scope": "patient/*.rs",
        "patient": "A",
        "exp": int(time.time()) + 600,
    }
    return sign_access_token(load_or_create_key(gateway.folder / "key.json"), claims)


async def status_of(gateway: ServingProcess, issuer: str = ISSUER, path: str = "/fhir/Patient/A") -> int:
    """The status of a read with a token of that issuer, on a connection of its own."""
    headers = {"authorization": f"Bearer {token_of(gateway, issuer)}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        return (await client.get(f"{gateway.root}{path}", headers=headers)).status_code


async def samples(gateway: ServingProcess, name: str) -> dict[str, float]:
    """The series of a metric without zeros, by the value of their only label."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        text = (await client.get(f"http://127.0.0.1:{gateway.metrics_port}/metrics")).text
    return {
        next(iter(sample.labels.values()), ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.value
    }


async def until_samples(gateway: ServingProcess, name: str, holds: Callable[[dict[str, float]], bool]) -> None:
    """Wait until the series of a metric are so: each of several workers publishes its own once a second."""
    async with asyncio.timeout(60):
        while not holds(await samples(gateway, name)):  # noqa: ASYNC110 - another process publishes
            await asyncio.sleep(0.05)


async def admin(gateway: ServingProcess, method: str, path: str = "") -> tuple[int, dict[str, Any]]:
    """One request below `/admin/configuration`: status and body."""
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        url = f"{gateway.root}/auth/admin/configuration{path}"
        response = await client.request(method, url, headers=headers)
    return response.status_code, response.json()


def lines(gateway: ServingProcess, event: str) -> list[Mapping[str, Any]]:
    """The lines of its log with that event."""
    return [line for line in gateway.log() if line["event"] == event]


async def logged(gateway: ServingProcess, event: str, times: int = 1) -> Mapping[str, Any]:
    """Wait until its log has the event so often; the last line."""
    await until(lambda: len(lines(gateway, event)) >= times)
    return lines(gateway, event)[-1]
