"""One process: what is changed, what is refused, and what a reload keeps."""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx2
import pytest
import yaml

from tests.commands.reload.changed_process import (
    ADMIN_TOKEN,
    IN_FORCE,
    OTHER_ISSUER,
    REFUSED,
    admin,
    lines,
    logged,
    samples,
    status_of,
    token_of,
    trusted_issuers,
    until_samples,
    write_settings,
    write_text,
)
from tests.commands.serving_process import ISSUER, ServingProcess, serving_process, until
from tests.commands.test_stopping import HeldServer
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port
from tests.servers.process import ROOT

PATIENT = {"resourceType": "Patient", "id": "A"}
# Reloads happen when the test says so.
UNWATCHED = {"reload": {"watch_seconds": None}}
SMART = {"smart_server": {"admin_token": ADMIN_TOKEN}}


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


@pytest.fixture
async def gateway(upstream: LenientServer) -> AsyncIterator[ServingProcess]:
    async with serving_process(upstream.base_url, UNWATCHED | SMART) as serving:
        yield serving


async def test_a_hangup_brings_the_changed_file_into_force_and_its_version_is_told_everywhere(
    gateway: ServingProcess,
) -> None:
    [before] = await samples(gateway, "smart_gateway_configuration_info")
    assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (200, 401)
    write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER), log_level="debug")
    gateway.signal(signal.SIGHUP)
    line = await logged(gateway, IN_FORCE)
    assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (401, 200)
    [after] = await samples(gateway, "smart_gateway_configuration_info")
    documented = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["components"]["schemas"]["Configuration"]
    status, state = await admin(gateway, "GET")
    assert (status, set(state)) == (200, set(documented["properties"]) - {"outcome"})
    assert (state["version"], state["previous"]) == (after, before)
    status, state = await admin(gateway, "POST", "/reload")
    assert (status, set(state), state["outcome"]) == (200, set(documented["properties"]), "unchanged")
    assert (line["configuration"], line["trigger"]) == (after, "signal")
    assert before != after
    # The gateway hears its own message to the others.
    counted = {"applied": 1, "unchanged": 2}
    await until_samples(gateway, "smart_gateway_configuration_reloads_total", lambda found: found == counted)
    assert await samples(gateway, "smart_gateway_configuration_refused") == {}
    gateway.signal(signal.SIGTERM)
    assert await gateway.exit_status() == 0
    decisions = [(line["status"], line["configuration"]) for line in gateway.audit() if "status" in line]
    assert decisions == [(200, before), (401, before), (401, after), (200, after)]
    [event] = [line for line in gateway.audit() if line.get("event") == "configuration_changed"]
    assert (event["reason"], event["configuration"]) == ("signal", after)


async def test_a_broken_file_changes_nothing_and_its_place_is_told(gateway: ServingProcess) -> None:
    text = json.dumps({**json.loads((gateway.folder / "gateway.yaml").read_text()), "log_level": "loud"}, indent=1)
    write_text(gateway, text)
    gateway.signal(signal.SIGHUP)
    line = await logged(gateway, REFUSED)
    [problem] = line["problems"]
    number = text.splitlines().index(' "log_level": "loud"') + 1
    assert problem.startswith(f"{gateway.folder}/gateway.yaml:{number}: log_level: must be")
    assert (line["outcome"], line["level"]) == ("invalid", "error")
    assert await status_of(gateway) == 200
    assert await samples(gateway, "smart_gateway_reload_failures_total") == {"invalid": 1}
    assert await samples(gateway, "smart_gateway_configuration_refused") == {"": 1}
    assert (await admin(gateway, "POST", "/reload"))[0] == 422
    status, state = await admin(gateway, "GET")
    assert (status, state["problems"]) == (200, [problem])
    write_settings(gateway, log_level=None)
    gateway.signal(signal.SIGHUP)
    await logged(gateway, "the configuration has not changed")
    assert await samples(gateway, "smart_gateway_configuration_refused") == {}


async def test_what_needs_a_restart_is_named_and_nothing_else_of_the_file_comes_into_force(
    gateway: ServingProcess,
) -> None:
    write_settings(
        gateway,
        upstream={"base_url": "http://127.0.0.1:1/fhir"},
        listen={"port": free_port()},
        issuers=trusted_issuers(gateway, OTHER_ISSUER),
    )
    status, body = await admin(gateway, "POST", "/reload")
    assert (status, body) == (409, {"problems": ["needs a restart: listen.port", "needs a restart: upstream.base_url"]})
    assert lines(gateway, REFUSED)[-1]["outcome"] == "needs_restart"
    assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (200, 401)


async def test_a_changed_file_is_noticed_behind_the_links_of_a_kubernetes_volume(upstream: LenientServer) -> None:
    async with serving_process(upstream.base_url, {"reload": {"watch_seconds": 0.1}}) as gateway:
        folder = gateway.folder
        for name in ("one", "two"):
            (folder / name).mkdir()
        shutil.copy(folder / "gateway.yaml", folder / "one" / "gateway.yaml")
        (folder / "..data").symlink_to("one")
        (folder / "gateway.yaml").unlink()
        (folder / "gateway.yaml").symlink_to("..data/gateway.yaml")
        values = json.loads((folder / "one" / "gateway.yaml").read_text())
        values["issuers"] = trusted_issuers(gateway, OTHER_ISSUER)
        (folder / "two" / "gateway.yaml").write_text(json.dumps(values))
        (folder / "..data_new").symlink_to("two")
        (folder / "..data_new").replace(folder / "..data")
        assert (await logged(gateway, IN_FORCE))["trigger"] == "file"
        assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (401, 200)


async def test_a_file_that_stays_broken_is_told_once_and_tried_again_when_what_it_names_is_there(
    upstream: LenientServer,
) -> None:
    async with serving_process(upstream.base_url, {"reload": {"watch_seconds": 0.05}}) as gateway:
        keys = gateway.folder / "later.json"
        issuers = trusted_issuers(gateway, ISSUER, OTHER_ISSUER)
        issuers[1]["jwks_file"] = str(keys)
        write_settings(gateway, issuers=issuers)
        await logged(gateway, REFUSED)
        shutil.copy(gateway.folder / "jwks.json", keys.with_suffix(".new"))
        keys.with_suffix(".new").replace(keys)
        await logged(gateway, IN_FORCE)
        assert await status_of(gateway, OTHER_ISSUER) == 200
        assert len(lines(gateway, REFUSED)) == 1
        assert await samples(gateway, "smart_gateway_reload_failures_total") == {"invalid": 1}


async def test_a_secret_in_a_file_of_its_own_is_watched_too(upstream: LenientServer) -> None:
    password = {"kind": "basic", "username": "gateway"}
    async with serving_process(upstream.base_url, {"reload": {"watch_seconds": 0.05}}) as gateway:
        secret = gateway.folder / "password"
        secret.write_text("first")
        authentication = {**password, "password_file": str(secret)}
        write_settings(gateway, upstream={"base_url": upstream.base_url, "authentication": authentication})
        version = (await logged(gateway, IN_FORCE))["configuration"]
        secret.with_suffix(".new").write_text("second")
        secret.with_suffix(".new").replace(secret)
        # A secret is no part of the version, from which somebody could guess it.
        assert (await logged(gateway, IN_FORCE, times=2))["configuration"] == version


async def test_a_request_ends_under_the_configuration_with_which_it_began() -> None:
    port = free_port()
    held = HeldServer(f"http://127.0.0.1:{port}/fhir")
    async with serve_on(held, port), serving_process(held.base_url, UNWATCHED) as gateway:
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            headers = {"authorization": f"Bearer {token_of(gateway)}"}
            async with _in_progress(client.get(f"{gateway.root}/fhir/Patient/A", headers=headers)) as reading:
                await held.arrived.wait()
                # The connections are replaced as well, and those of the request are not cut off.
                upstream = {"base_url": held.base_url, "pool": {"connections": 3}}
                write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER), upstream=upstream)
                gateway.signal(signal.SIGHUP)
                await logged(gateway, IN_FORCE)
                assert await status_of(gateway) == 401
                held.may_respond.set()
                assert (await reading).status_code == 200
            # What is remembered of a connection was checked under the configuration before.
            assert (await client.get(f"{gateway.root}/fhir/Patient/A", headers=headers)).status_code == 401
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
        versions = [line["configuration"] for line in gateway.audit() if line.get("status") in {200, 401}]
        assert len(set(versions)) == 2


@contextlib.asynccontextmanager
async def _in_progress(request: Coroutine[Any, Any, httpx2.Response]) -> AsyncIterator[asyncio.Task[httpx2.Response]]:
    task = asyncio.create_task(request)
    try:
        yield task
    finally:
        await asyncio.wait([task])


async def test_the_way_back_is_open_once_and_the_files_are_not_read_again_until_they_change(
    upstream: LenientServer,
) -> None:
    async with serving_process(upstream.base_url, SMART | {"reload": {"watch_seconds": 0.05}}) as gateway:
        _, first = await admin(gateway, "GET")
        assert (first["previous"], first["problems"]) == (None, [])
        assert await admin(gateway, "POST", "/rollback") == (
            409,
            {"problems": ["there is no earlier configuration to go back to"]},
        )
        write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER))
        second = await logged(gateway, IN_FORCE)
        status, state = await admin(gateway, "POST", "/rollback")
        assert (status, state["outcome"], state["version"], state["previous"]) == (
            200,
            "rolled_back",
            first["version"],
            None,
        )
        assert state["problems"] == [f"{second['configuration']}, which the files still have, was rolled back"]
        assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (200, 401)
        assert await samples(gateway, "smart_gateway_configuration_refused") == {"": 1}
        write_settings(gateway, issuers=trusted_issuers(gateway, OTHER_ISSUER, ISSUER))
        await logged(gateway, IN_FORCE, times=3)
        assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (200, 200)
        gateway.signal(signal.SIGUSR1)
        await until(lambda: len(lines(gateway, "the configuration before is in force again")) == 2)
        assert (await status_of(gateway), await status_of(gateway, OTHER_ISSUER)) == (200, 401)


async def test_the_commands_show_reload_and_go_back(gateway: ServingProcess) -> None:
    async def run(word: str) -> tuple[int | None, str, str]:
        words = ["config", word, "--config", str(gateway.folder / "gateway.yaml")]
        done = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", *words, stdout=PIPE, stderr=PIPE)
        output, error = await done.communicate()
        return done.returncode, output.decode(), error.decode()

    _, first = await admin(gateway, "GET")
    time_and_rest = r" is in force since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ; before: "
    status, output, _ = await run("show")
    assert (status, bool(re.fullmatch(f"{first['version']}{time_and_rest}none.\n", output))) == (0, True), output
    write_settings(gateway, limits={"bundle_entries": 7})
    status, output, _ = await run("reload")
    [after] = await samples(gateway, "smart_gateway_configuration_info")
    assert (status, bool(re.fullmatch(f"applied: {after}{time_and_rest}{first['version']}.\n", output))) == (0, True)
    status, output, _ = await run("rollback")
    lines = output.splitlines()
    assert (status, lines[1:]) == (0, [f"Not in force: {after}, which the files still have, was rolled back"])
    assert lines[0].startswith(f"rolled_back: {first['version']} is in force since 20")
    assert await run("rollback") == (1, "", "there is no earlier configuration to go back to\n")


async def test_sealed_paging_links_lead_on_after_a_reload(upstream: LenientServer) -> None:
    upstream.resources = [PATIENT, *({"resourceType": "Patient", "id": f"A{number}"} for number in range(3))]
    upstream.page_size = 1
    async with serving_process(upstream.base_url, UNWATCHED) as gateway:
        headers = {"authorization": f"Bearer {token_of(gateway)}"}
        async with httpx2.AsyncClient(trust_env=False, timeout=60, headers=headers) as client:
            page = (await client.get(f"{gateway.root}/fhir/Observation")).json()
            [link] = [link["url"] for link in page["link"] if link["relation"] == "next"]
            write_settings(gateway, limits={"bundle_entries": 7})
            gateway.signal(signal.SIGHUP)
            await logged(gateway, IN_FORCE)
            assert (await client.get(link)).status_code == 200
