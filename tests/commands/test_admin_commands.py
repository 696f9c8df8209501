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
import yaml

from gateway.certificates.thumbprint import certificate_thumbprint
from gateway.commands.admin_api_client import printable, printable_json
from tests.certificates.authority import Authority
from tests.proxy.lenient_server import lenient_server
from tests.smart_server.admin_client import admin_request
from tests.smart_server.running_server import RunningServer, run_smart_server

PATIENT = {"resourceType": "Patient", "id": "pat-a", "name": [{"family": "A"}]}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Terminal:
    """A terminal whose commands use the configuration of the running gateway."""

    server: RunningServer
    config: Path

    async def run(self, *words: str, typed: str = "") -> tuple[int, str, str]:
        """Run a command; its exit status, standard output and standard error."""
        command = [sys.executable, "-m", "gateway", *words, "--config", str(self.config)]
        done = await asyncio.to_thread(
            subprocess.run, command, input=typed, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def terminal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    config = tmp_path_factory.mktemp("terminal") / "gateway.yaml"

    def write_settings(settings: dict[str, object]) -> None:
        config.write_text(json.dumps(settings), encoding="utf-8")

    async with (
        lenient_server(PATIENT) as upstream,
        run_smart_server(upstream.base_url, change=write_settings) as server,
    ):
        yield Terminal(server, config)


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
    status, output, _ = await terminal.run("clients", "add", *words, "--type", "confidential-symmetric")
    assert status == 0
    added = json.loads(output)
    assert added["client_id"] == "added"
    assert len(added["client_secret"]) >= 32
    _, details, _ = await terminal.run("clients", "show", "added")
    assert "secret" not in details
    _, client_lines, _ = await terminal.run("clients", "list")
    assert [line.split()[0] for line in client_lines.splitlines() if "registration" in line] == ["added"]
    assert (await terminal.run("clients", "disable", "added"))[0] == 0
    page = await terminal.server.http.get(
        terminal.server.app("added", redirect_uri=words[-1]).authorization_url("openid")
    )
    assert page.status_code == 400


async def test_a_client_that_only_introspects_is_added_without_a_redirect_uri(terminal: Terminal) -> None:
    words = ("--client-id", "pharmacy", "--name", "Pharmacy", "--type", "confidential-symmetric", "--introspect")
    status, output, _ = await terminal.run("clients", "add", *words)
    assert (status, json.loads(output)["grant_types"], json.loads(output)["may_introspect"]) == (0, [], True)


async def test_a_backend_service_is_added_with_its_certificate(terminal: Terminal, tmp_path: Path) -> None:
    certificate = Authority(tmp_path, "authority").sign("reports", is_self_signed=True)
    words = ("clients", "add", "--name", "Reports", "--backend", "--scopes", "system/Patient.rs", "--type")
    status, output, _ = await terminal.run(
        *words, "self-signed-tls-client-auth", "--certificate-file", str(certificate.certificate)
    )
    assert status == 0
    assert json.loads(output)["certificate_thumbprints"] == [certificate_thumbprint(certificate.content)]
    status, output, _ = await terminal.run(*words, "tls-client-auth", "--san-dns", "reports.example")
    assert (status, json.loads(output)["tls_client_auth_san_dns"]) == (0, "reports.example")
    status, _, error = await terminal.run(*words, "tls-client-auth", "--certificate-file", str(certificate.key))
    assert (status, error) == (1, f"{certificate.key} holds no certificate in the PEM form that can be read\n")


async def test_an_entry_that_cannot_be_is_refused_with_every_problem(terminal: Terminal) -> None:
    words = ("--name", "Bad", "--redirect-uri", "http://bad.example/x", "--scopes", "patient/Nothing.rs")
    status, output, error = await terminal.run("clients", "add", *words)
    assert (status, output) == (1, "")
    assert "redirect_uris" in error
    assert "scopes" in error


async def test_the_roles_of_a_user_are_those_of_the_command(terminal: Terminal) -> None:
    words = ("users", "add", "rita", "--name", "Rita", "--role", "privacy officer", "--role", "teacher")
    assert (await terminal.run(*words, typed="a new password\n"))[0] == 0
    users = (await admin_request(terminal.server, "GET", "/users")).json()["users"]
    assert {user["user"]: user["roles"] for user in users}["rita"] == ["privacy officer", "teacher"]
    _, output, _ = await terminal.run(*words, "--print-hash", typed="secret\n")
    assert yaml.safe_load(output)[0]["roles"] == ["privacy officer", "teacher"]


async def test_a_user_is_added_and_signs_in(terminal: Terminal) -> None:
    words = ("users", "add", "nina", "--name", "Nina Nurse", "--fhir-user", "Practitioner/practitioner-2")
    assert (await terminal.run(*words, typed="a new password\n"))[0] == 0
    person = terminal.server.person()
    page = await person.open(f"{terminal.server.issuer}/apps")
    page = await person.sign_in(page, "nina", "a new password")
    assert "Nina Nurse" in page.text


async def test_an_app_of_a_known_id_is_replaced_only_where_that_is_meant_and_updated_and_removed(
    terminal: Terminal,
) -> None:
    words = ("clients", "add", "--client-id", "known", "--redirect-uri", "https://known.example/callback")
    assert (await terminal.run(*words, "--name", "First"))[0] == 0
    status, _, error = await terminal.run(*words, "--name", "Second")
    assert (status, "registered already" in error) == (1, True)
    assert (await terminal.run(*words, "--name", "Second", "--replace"))[0] == 0
    status, output, _ = await terminal.run("clients", "update", "known", "--purpose", "Draws.", "--disabled")
    assert (status, json.loads(output)["name"], json.loads(output)["purpose"]) == (0, "Second", "Draws.")
    assert "disabled" in (await terminal.run("clients", "list"))[1].split("known")[1].splitlines()[0]
    assert (await terminal.run("clients", "update", "known", "--no-disabled"))[0] == 0
    assert "enabled" in (await terminal.run("clients", "list"))[1].split("known")[1].splitlines()[0]
    assert (await terminal.run("clients", "remove", "known"))[0] == 0
    assert (await terminal.run("clients", "show", "known"))[0] == 1


async def test_a_user_is_listed_disabled_enabled_given_another_password_signed_out_and_removed(
    terminal: Terminal,
) -> None:
    assert (await terminal.run("users", "add", "olga", "--name", "Olga", typed="first\n"))[0] == 0
    assert (await terminal.run("users", "add", "olga", "--name", "Olga", typed="first\n"))[0] == 1
    assert "enabled" in (await terminal.run("users", "list"))[1].split("olga")[1].splitlines()[0]
    assert (await terminal.run("users", "disable", "olga"))[0] == 0
    assert "disabled" in (await terminal.run("users", "list"))[1].split("olga")[1].splitlines()[0]
    assert (await terminal.run("users", "enable", "olga"))[0] == 0
    assert (await terminal.run("users", "set-password", "olga", typed="second\n"))[0] == 0
    person = terminal.server.person()
    page = await person.sign_in(await person.open(f"{terminal.server.issuer}/apps"), "olga", "second")
    assert "Olga" in page.text
    assert (await terminal.run("sessions", "end", "--user", "olga"))[0] == 0
    assert "/sign-in" in (await person.open(f"{terminal.server.issuer}/apps")).url
    assert (await terminal.run("users", "remove", "olga"))[0] == 0
    assert "olga" not in (await terminal.run("users", "list"))[1]


async def test_grants_are_listed_and_ended(terminal: Terminal) -> None:
    server = terminal.server
    tokens = await server.request_tokens(server.app("house-app"), "openid fhirUser user/Patient.r", user="nurse")
    status, output, _ = await terminal.run("grants", "list", "--user", "nurse", "--client", "house-app")
    assert status == 0
    assert "house-app" in output
    assert "user/Patient.r" in output
    assert (await terminal.run("grants", "end", "--user", "nurse"))[1] == "Ended: 1.\n"
    assert (await terminal.run("grants", "list", "--user", "nurse"))[1] == ""
    assert (await server.app().read("/Patient/pat-a", tokens["access_token"])).status_code == 401
    status, _, error = await terminal.run("grants", "list")
    assert (status, "Name a user" in error) == (1, True)


async def test_a_leaked_signing_key_is_replaced_at_once(terminal: Terminal) -> None:
    before = (await terminal.server.http.get(f"{terminal.server.issuer}/jwks")).json()["keys"]
    status, output, _ = await terminal.run("keys", "rotate", "--now")
    assert status == 0
    (after,) = (await terminal.server.http.get(f"{terminal.server.issuer}/jwks")).json()["keys"]
    assert after["kid"] in output
    assert after["kid"] not in {key["kid"] for key in before}


async def test_a_hash_is_printed_for_the_configuration(terminal: Terminal) -> None:
    status, output, _ = await terminal.run("users", "add", "otto", "--name", "Otto", "--print-hash", typed="secret\n")
    assert status == 0
    assert '"$argon2id$' in output
    assert "secret" not in output


async def test_the_next_signing_key_is_published_at_once(terminal: Terminal) -> None:
    before = (await terminal.server.http.get(f"{terminal.server.issuer}/jwks")).json()["keys"]
    status, output, _ = await terminal.run("keys", "rotate")
    assert status == 0
    after = (await terminal.server.http.get(f"{terminal.server.issuer}/jwks")).json()["keys"]
    assert len(after) == len(before) + 1
    assert after[-1]["kid"] in output


async def test_the_token_of_a_disabled_app_is_explained_as_refused(terminal: Terminal) -> None:
    callback = "https://explained.example/callback"
    await terminal.run("clients", "add", "--client-id", "explained", "--name", "E", "--redirect-uri", callback)
    app = terminal.server.app("explained", redirect_uri=callback)
    token = (await terminal.server.request_tokens(app, "openid fhirUser patient/Patient.rs", user="patient"))[
        "access_token"
    ]
    words = ("explain", "--token", token, "GET", f"{terminal.server.base}/Patient/pat-a")
    status, output, _ = await terminal.run(*words)
    assert status == 0
    assert "unless the record is Patient in the compartment of Patient/pat-a" in output
    await terminal.run("clients", "disable", "explained")
    status, output, _ = await terminal.run(*words)
    assert status == 1
    assert "401 token_inactive" in output
    assert "401 token_not_an_access_token" in (await terminal.run("explain", "--token", "sgr_x", "GET", "/Patient"))[1]


async def test_without_an_admin_token_nothing_is_administered(terminal: Terminal, without_admin: Path) -> None:
    status, _, error = await Terminal(terminal.server, without_admin).run("clients", "list")
    assert status == 1
    assert "admin_token" in error


async def test_nothing_that_is_printed_commands_a_terminal() -> None:
    name = "Ä\x1b]52;c;cm0=\x07\x9b2J\u202e\n\U000e0041"
    value = {"name": name, "rows": [1]}
    assert printable(name) == "Ä\\u001b]52;c;cm0=\\u0007\\u009b2J\\u202e\\n\\udb40\\udc41"
    assert all(line.isprintable() for line in printable_json(value).split("\n"))
    assert json.loads(printable_json(value)) == value
