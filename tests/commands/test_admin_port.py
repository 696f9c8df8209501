"""The admin port of `serve`: its own listener, the decisions of all workers, reloads, and TLS."""

import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.credentials.passwords import hash_password
from gateway.oauth.client.client import digest_secret
from tests.certificates.authority import Authority
from tests.commands.reload.changed_process import read_settings, write_settings
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.ports import free_port
from tests.servers.valkey import standalone

PATIENT = {"resourceType": "Patient", "id": "A"}
TOKEN, PASSWORD = "a-long-token-of-an-operating-program", "a password for tests"
_UNWATCHED = {"reload": {"watch_seconds": None}}


def admin_settings(**changes: Any) -> dict[str, Any]:
    """An admin port with an account and a token."""
    return {
        "port": free_port(),
        "accounts": [{"name": "olga", "password_hash": hash_password(PASSWORD), "role": "operator"}],
        "tokens": [{"name": "deployer", "token_hash": digest_secret(TOKEN), "role": "operator"}],
        **changes,
    }


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with standalone() as running:
        yield running.url


def url_of(gateway: ServingProcess) -> str:
    return f"http://127.0.0.1:{read_settings(gateway)['admin']['port']}/api"


async def call(gateway: ServingProcess, method: str, path: str) -> httpx2.Response:
    """One request with the token, on a connection of its own: any worker may answer."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.request(method, url_of(gateway) + path, headers={"authorization": f"Bearer {TOKEN}"})


async def read_patient(gateway: ServingProcess, patient: str = "A") -> str:
    """Read a patient, on a connection of its own. The id of the decision."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        headers = {"authorization": f"Bearer {gateway.token()}"}
        response = await client.get(f"{gateway.base_url}/Patient/{patient}", headers=headers)
    return response.headers["x-decision-id"]


async def test_a_decision_is_explained_as_the_audit_log_has_it(upstream: LenientServer) -> None:
    settings = {"smart_server": {}, "admin": admin_settings()}
    async with serving_process(upstream.base_url, settings) as gateway:
        permitted = await read_patient(gateway)
        refused = (await httpx_refused(gateway)).headers["x-decision-id"]
        await until(lambda: gateway.audit_count() >= 2)
        lines = {line["decision_id"]: line for line in gateway.audit() if "decision_id" in line}
        for decision, outcome in ((permitted, "permitted"), (refused, "refused")):
            explained = (await call(gateway, "GET", f"/decisions/{decision}")).json()
            assert explained["fields"] == lines[decision]
            assert explained["explanation"]["outcome"] == outcome
        listed = (await call(gateway, "GET", "/decisions?refused=true")).json()["decisions"]
        assert [line["decision_id"] for line in listed] == [refused]
        metrics = await call(gateway, "GET", "/metrics")
        assert metrics.status_code == 404


async def httpx_refused(gateway: ServingProcess) -> httpx2.Response:
    """A write, which the token does not permit."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        headers = {"authorization": f"Bearer {gateway.token()}"}
        return await client.delete(f"{gateway.base_url}/Patient/A", headers=headers)


@pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")
async def test_any_worker_finds_the_decisions_and_sessions_of_the_others(upstream: LenientServer, store: str) -> None:
    settings = {"smart_server": {"store": store}, "admin": admin_settings()}
    async with serving_process(upstream.base_url, settings, workers=2) as gateway:
        decisions: set[str] = set()
        # The first part of an id is the worker's.
        while len({decision.partition("-")[0] for decision in decisions}) < 2:
            decisions.add(await read_patient(gateway))
        await until(lambda: gateway.audit_count() >= len(decisions))
        for _ in range(4):
            for decision in decisions:
                assert (await call(gateway, "GET", f"/decisions/{decision}")).status_code == 200
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as browser:
            signed_in = await browser.post(f"{url_of(gateway)}/session", json={"name": "olga", "password": PASSWORD})
            cookies = dict(browser.cookies)
        assert signed_in.status_code == 201
        for _ in range(8):
            async with httpx2.AsyncClient(trust_env=False, timeout=60, cookies=cookies) as browser:
                assert (await browser.get(f"{url_of(gateway)}/session")).json()["name"] == "olga"


async def test_a_reload_is_ordered_told_and_taken_back(upstream: LenientServer) -> None:
    settings = _UNWATCHED | {"smart_server": {}, "admin": admin_settings()}
    async with serving_process(upstream.base_url, settings) as gateway:
        before = (await call(gateway, "GET", "/configuration")).json()
        assert (before["previous"], [change["trigger"] for change in before["history"]]) == (None, ["start"])
        assert before["settings"]["admin"]["tokens"][0]["token_hash"] == "***"
        assert digest_secret(TOKEN) not in str(before)
        write_settings(gateway, log_level="debug")
        assert (await call(gateway, "POST", "/configuration/reload")).json()["outcome"] == "applied"
        after = (await call(gateway, "GET", "/configuration")).json()
        assert (after["previous"], after["settings"]["log_level"]) == (before["version"], "debug")
        assert [change["trigger"] for change in after["history"]] == ["administrator", "start"]
        assert (await call(gateway, "POST", "/configuration/rollback")).json()["version"] == before["version"]
        write_settings(gateway, log_level="loud")
        refused = await call(gateway, "POST", "/configuration/reload")
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_configuration")
        await until(lambda: len([line for line in gateway.audit() if line.get("event") == "admin_refused"]) == 1)
        orders = [line for line in gateway.audit() if line.get("event") == "configuration_ordered"]
        assert [(line["administrator"], line["reason"]) for line in orders] == [
            ("deployer", "reload"), ("deployer", "roll_back"), ("deployer", "reload")
        ]  # fmt: skip


async def test_who_is_taken_out_of_the_configuration_is_signed_out(upstream: LenientServer) -> None:
    settings = _UNWATCHED | {"smart_server": {}, "admin": admin_settings()}
    async with (
        serving_process(upstream.base_url, settings) as gateway,
        httpx2.AsyncClient(trust_env=False, timeout=60) as browser,
    ):
        session = f"{url_of(gateway)}/session"
        await browser.post(session, json={"name": "olga", "password": PASSWORD})
        assert (await browser.get(session)).json()["role"] == "operator"
        admin = read_settings(gateway)["admin"]
        demoted = [{**admin["accounts"][0], "role": "auditor"}]
        write_settings(gateway, admin={**admin, "accounts": demoted})
        assert (await call(gateway, "POST", "/configuration/reload")).json()["outcome"] == "applied"
        assert (await browser.get(session)).json()["role"] == "auditor", "as of now, not as of the sign-in"
        other_password = [{**demoted[0], "password_hash": hash_password("another")}]
        write_settings(gateway, admin={**admin, "accounts": other_password})
        assert (await call(gateway, "POST", "/configuration/reload")).json()["outcome"] == "applied"
        assert (await browser.get(session)).status_code == 401


async def test_the_admin_port_speaks_tls_by_files_of_its_own(upstream: LenientServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    files = authority.sign("admin", "localhost")
    port = free_port()
    admin = admin_settings(
        port=port, base_url=f"https://localhost:{port}",
        tls={"certificate_file": str(files.certificate), "key_file": str(files.key)},
    )  # fmt: skip
    async with (
        serving_process(upstream.base_url, {"smart_server": {}, "admin": admin}),
        httpx2.AsyncClient(
            trust_env=False, timeout=60, verify=ssl.create_default_context(cafile=str(authority.file))
        ) as browser,
    ):
        api = f"https://localhost:{port}/api"
        signed_in = await browser.post(f"{api}/session", json={"name": "olga", "password": PASSWORD})
        assert signed_in.headers["strict-transport-security"] == "max-age=31536000"
        cookie = signed_in.headers["set-cookie"]
        assert cookie.startswith("__Host-smart-admin=")
        assert "Secure" in cookie
        assert (await browser.get(f"{api}/session")).status_code == 200
        other_name = await browser.get(f"{api}/session", headers={"host": f"127.0.0.1:{port}"})
        assert other_name.status_code == 421


async def test_without_the_setting_there_is_no_admin_port(upstream: LenientServer) -> None:
    admin = {name: value for name, value in admin_settings().items() if name != "port"}
    async with serving_process(upstream.base_url, {"smart_server": {}, "admin": admin}) as gateway:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            response = await client.get(f"{gateway.root}/api/session", headers={"authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 404
