"""`smart-gateway clients`, `users` and `keys` against a running gateway, as an administrator types them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.commands.administer import in_json, printable
from tests.gateway.lenient import lenient_server
from tests.smart.house import House, smart_house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Terminal:
    """A command line with the configuration of the running gateway."""

    house: House
    config: Path

    async def run(self, *words: str, typed: str = "") -> tuple[int, str, str]:
        """Exit status, what is printed, and what is complained of."""
        command = [sys.executable, "-m", "gateway", *words, "--config", str(self.config)]
        done = await asyncio.to_thread(
            subprocess.run, command, input=typed, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    config = tmp_path_factory.mktemp("terminal") / "gateway.yaml"

    def keep(settings: dict[str, object]) -> None:
        config.write_text(json.dumps(settings), encoding="utf-8")

    async with lenient_server() as upstream, smart_house(upstream.base_url, change=keep) as house:
        yield Terminal(house, config)


@pytest.fixture(scope="module")
def without_admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    config = tmp_path_factory.mktemp("closed") / "gateway.yaml"
    config.write_text(
        "public_base_url: http://127.0.0.1:1/fhir\ndevelopment: true\nupstream: {base_url: 'http://127.0.0.1:2/fhir'}\n"
        "smart_server: {}\n"
    )
    yield config


async def test_a_client_is_added_shown_and_disabled(terminal: Terminal) -> None:
    words = ("--client-id", "added", "--name", "Added", "--redirect-uri", "https://added.example/callback")
    status, told, _ = await terminal.run("clients", "add", *words, "--type", "confidential-symmetric")
    assert status == 0
    added = json.loads(told)
    assert added["client_id"] == "added"
    assert len(added["client_secret"]) >= 32
    _, shown, _ = await terminal.run("clients", "show", "added")
    assert "secret" not in shown
    _, listed, _ = await terminal.run("clients", "list")
    assert [line.split()[0] for line in listed.splitlines() if "registration" in line] == ["added"]
    assert (await terminal.run("clients", "disable", "added"))[0] == 0
    page = await terminal.house.http.get(
        terminal.house.app("added", redirect_uri=words[-1]).authorization_url("openid")
    )
    assert page.status_code == 400


async def test_an_entry_that_cannot_be_is_refused_with_every_problem(terminal: Terminal) -> None:
    words = ("--name", "Bad", "--redirect-uri", "http://bad.example/x", "--scopes", "patient/Nothing.rs")
    status, told, complaint = await terminal.run("clients", "add", *words)
    assert (status, told) == (1, "")
    assert "redirect_uris" in complaint
    assert "scopes" in complaint


async def test_a_user_is_added_and_signs_in(terminal: Terminal) -> None:
    words = ("users", "add", "nina", "--name", "Nina Nurse", "--fhir-user", "Practitioner/practitioner-2")
    assert (await terminal.run(*words, typed="a new password\n"))[0] == 0
    person = terminal.house.person()
    page = await person.go(f"{terminal.house.issuer}/apps")
    page = await person.sign_in(page, "nina", "a new password")
    assert "Nina Nurse" in page.text


async def test_a_hash_is_printed_for_the_configuration(terminal: Terminal) -> None:
    status, told, _ = await terminal.run("users", "add", "otto", "--name", "Otto", "--print-hash", typed="secret\n")
    assert status == 0
    assert '"$argon2id$' in told
    assert "secret" not in told


async def test_the_next_signing_key_is_published_at_once(terminal: Terminal) -> None:
    before = (await terminal.house.http.get(f"{terminal.house.issuer}/jwks")).json()["keys"]
    status, told, _ = await terminal.run("keys", "rotate")
    assert status == 0
    after = (await terminal.house.http.get(f"{terminal.house.issuer}/jwks")).json()["keys"]
    assert len(after) == len(before) + 1
    assert after[-1]["kid"] in told


async def test_without_an_admin_token_nothing_is_administered(terminal: Terminal, without_admin: Path) -> None:
    status, _, complaint = await Terminal(terminal.house, without_admin).run("clients", "list")
    assert status == 1
    assert "admin_token" in complaint


async def test_nothing_that_is_printed_commands_a_terminal() -> None:
    name = "Ä\x1b]52;c;cm0=\x07\x9b2J\u202e\n\U000e0041"
    told = {"name": name, "rows": [1]}
    assert printable(name) == "Ä\\u001b]52;c;cm0=\\u0007\\u009b2J\\u202e\\n\\udb40\\udc41"
    assert all(one.isprintable() for one in in_json(told).split("\n"))
    assert json.loads(in_json(told)) == told
