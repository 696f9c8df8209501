"""`smart-gateway selftest` against a real gateway, as an operator types it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.commands.selftest_commands import ADMIN_TOKEN as TOKEN_VARIABLE
from gateway.commands.selftesting.attempts import read_attempts
from tests.certificates.authority import Authority
from tests.commands.selftesting.breaking_proxy import breaking_proxy
from tests.commands.selftesting.tested_gateway import ADMIN_TOKEN, TestedGateway
from tests.commands.serving_process import serving_process

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]
# Tokens and codes of the gateway, and JWTs.
_SECRETS = re.compile(r"sg[a-z]_[A-Za-z0-9_-]{20}|eyJ[A-Za-z0-9_-]{20}|code=|" + ADMIN_TOKEN)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "gateway", "selftest", *words]


async def run(*words: str, token: str | None = ADMIN_TOKEN) -> tuple[int, str, str]:
    """Exit status, standard output and standard error. Requests have more time than on a quiet machine."""
    environment = {**os.environ, **({} if token is None else {TOKEN_VARIABLE: token})}
    done = await asyncio.to_thread(
        subprocess.run,
        command(*words, "--seconds", "120"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=environment,
    )
    return done.returncode, done.stdout, done.stderr


async def test_all_holds_and_nothing_is_left(gateway: TestedGateway, tmp_path: Path) -> None:
    before = gateway.stored()
    as_json, junit = tmp_path / "selftest.json", tmp_path / "selftest.xml"
    words = ("--url", gateway.process.base_url, "--json", str(as_json), "--junit", str(junit))
    status, output, errors = await run(*words)
    assert (status, errors) == (0, ""), output
    document = json.loads(as_json.read_text())
    assert (document["url"], document["complete"]) == (gateway.process.base_url, True)
    outcomes = {(check["outcome"], check["found"]) for check in document["checks"]}
    assert outcomes == {("ok", "")}
    families = list(dict.fromkeys(check["family"] for check in document["checks"]))
    assert set(families) == {
        "discovery", "refusals", "headers", "authorization", "canaries", "launch", "tokens", "granular", "writes",
        "leaks", "clean-up",
    }  # fmt: skip
    tried = {check["sentence"] for check in document["checks"]}
    assert {f"{attempt.id}: {attempt.attempt}" for attempt in read_attempts()} <= tried
    suites = ElementTree.parse(junit).getroot()
    assert (suites.tag, [suite.get("name") for suite in suites]) == ("testsuites", families)
    assert [case.get("name") for suite in suites for case in suite if suite.get("name") == "leaks"]
    assert sum(int(suite.attrib["tests"]) for suite in suites) == len(document["checks"]) == output.count("ok   ")
    for text in (output, as_json.read_text(), junit.read_text()):
        assert _SECRETS.search(text) is None
    assert gateway.stored() == before


async def test_the_short_form_needs_no_token_and_touches_nothing(gateway: TestedGateway) -> None:
    before = gateway.stored()
    status, output, _ = await run("--url", gateway.process.base_url, "--short", token=None)
    assert status == 0
    assert "skipped  authorization: all checks of this kind\n         found: no admin token is given" in output
    assert "FAILED" not in output
    assert gateway.stored() == before


async def test_the_short_form_with_a_token_tries_a_backend_service_by_another_address(gateway: TestedGateway) -> None:
    before = gateway.stored()
    async with breaking_proxy(gateway.process.root, gateway.sekmet.base_url) as address:
        status, output, _ = await run("--url", gateway.process.base_url, "--short", "--address", address)
    assert status == 0
    assert "ok       authorization: its token ends when it is removed" in output
    assert "canaries" not in output
    assert gateway.stored() == before


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        pytest.param(
            {"authorization_server": {"token_endpoint": "https://keycloak.invalid/token"}},
            "another server issues the tokens",
            id="another authorization server",
        ),
        pytest.param({}, "there is no SMART configuration", id="none that is configured"),
    ],
)  # fmt: skip
async def test_other_servers_are_not_tested(gateway: TestedGateway, settings: dict[str, object], why: str) -> None:
    async with serving_process(gateway.sekmet.base_url, settings) as other:
        status, output, _ = await run("--url", other.base_url, "--short", token=None)
    assert status == 0, output
    skipped = "skipped  discovery: the OpenID configuration agrees with the SMART configuration"
    assert f"{skipped}\n         found: {why}" in output
    assert "ok       refusals: a token is refused that is expired" in output


async def test_https_is_verified_and_its_pages_are_walked_through(gateway: TestedGateway, tmp_path: Path) -> None:
    before, public = gateway.stored(), "https://gateway.example/fhir"
    authority = Authority(tmp_path, "authority")
    files = authority.sign("gateway", "localhost")
    tls = {"certificate_file": str(files.certificate), "key_file": str(files.key)}
    settings = {"listen": {"tls": tls}, "smart_server": {"admin_token": ADMIN_TOKEN}}
    async with serving_process(
        gateway.sekmet.base_url, settings, public_base_url=public, trusted_ca=authority.file
    ) as other:
        words = ("--url", public, "--address", other.root)
        status, _, errors = await run(*words, "--short")
        assert (status, "certificate verify failed" in errors) == (2, True), errors
        status, output, _ = await run(*words, "--ca-file", str(authority.file))
    assert status == 0, output
    assert "ok       launch: a user signs in and agrees, and the app gets a code and its state" in output
    assert gateway.stored() == before


async def test_url_and_token_are_read_from_the_configuration(gateway: TestedGateway) -> None:
    status, output, _ = await run("--short", "--config", str(gateway.process.folder / "gateway.yaml"), token=None)
    assert status == 0
    assert "ok       authorization: a public app needs PKCE, by S256" in output


async def test_it_says_that_the_server_behind_is_open_and_prints_nothing_of_it(gateway: TestedGateway) -> None:
    before = gateway.stored()
    words = ("--url", gateway.process.base_url, "--upstream", gateway.sekmet.base_url)
    status, output, _ = await run(*words)
    assert status == 0
    assert "WARNING  upstream: the FHIR server behind shows nothing to this machine without the gateway" in output
    assert "pat-" not in output
    assert gateway.stored() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_was_made_is_removed_when_it_is_interrupted(
    gateway: TestedGateway, number: signal.Signals, tmp_path: Path
) -> None:
    before = gateway.stored()
    report = tmp_path / "selftest.json"
    process = await asyncio.create_subprocess_exec(
        *command("--url", gateway.process.base_url, "--json", str(report), "--seconds", "120"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, TOKEN_VARIABLE: ADMIN_TOKEN},
    )
    assert process.stdout is not None
    # All canaries, apps and users are there now, and the test goes on for hundreds of requests.
    async for line in process.stdout:
        if line.startswith(b"ok       canaries"):
            process.send_signal(number)
            break
    rest = (await process.stdout.read()).decode()
    assert await process.wait() == 2
    assert "Interrupted.\n" in rest
    assert "ok       clean-up: the canary patients and their records are removed" in rest
    assert json.loads(report.read_text())["complete"] is False
    assert gateway.stored() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("--url", "http://127.0.0.1:9/fhir"), "The full form needs the admin token", id="no admin token"),
        pytest.param(("--short",), "Say what to test", id="no URL"),
        pytest.param(("--short", "--url", "fhir.example.org"), "--url must be a URL", id="a host instead of a URL"),
        pytest.param(("--short", "--url", "http://127.0.0.1:9/fhir"), "does not answer", id="nobody there"),
        pytest.param(
            ("--short", "--url", "http://127.0.0.1:9/fhir", "--admin-token-file", "/nowhere"),
            "/nowhere: cannot be read: no such file or directory",
            id="a file that is not there",
        ),
        pytest.param(
            ("--short", "--url", "http://127.0.0.1:9/fhir", "--ca-file", "/nowhere"), "/nowhere", id="no authorities"
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_tested_is_said(words: tuple[str, ...], message: str) -> None:
    status, output, errors = await run(*words, token=None)
    assert (status, output) == (2, "")
    assert message in errors
    assert "Traceback" not in errors


async def test_header_fields_for_the_server_behind_are_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Bearer a-secret-in-the-wrong-place\n")
    words = ("--short", "--url", "http://127.0.0.1:9/fhir", "--upstream-headers-file", str(file))
    status, output, errors = await run(*words, token=None)
    assert status == 2
    assert "is no header field" in errors
    assert "secret" not in output + errors
