"""Starting: what keeps the gateway from it is one sentence, and a store that is down is waited for."""

import asyncio
import json
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from gateway.__main__ import main
from gateway.commands.serving.listening_sockets import ListenError, open_sockets
from tests.commands.test_check_config import make_files, problems_of, put, valid_values
from tests.proxy.lenient_server import lenient_server
from tests.servers.ports import free_port
from tests.servers.process import start_process, with_leash
from tests.servers.valkey import Node


def run(*words: str) -> tuple[int, str, str]:
    """Run the command; its exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_warnings_are_told_and_do_not_keep_the_gateway_from_starting(tmp_path: Path) -> None:
    values = valid_values(make_files(tmp_path)) | {"development": True, "listen": {"host": "0.0.0.0"}}
    put(values, "issuers.1.audiences", ["https://other.example"])
    clients = values["smart_server"]["clients"]
    old_app = {
        "client_id": "old-app",
        "name": "Old",
        "redirect_uris": ["https://old.example/cb"],
        "require_pkce": False,
    }
    clients.append(old_app)
    assert problems_of(tmp_path, values) == []
    status, output, error = run("check-config", "--config", str(tmp_path / "gateway.yaml"))
    assert (status, output) == (0, "The configuration is valid. Apps use https://gateway.example.org/fhir.\n")
    assert error.splitlines() == [
        "Warning: issuers[1].audiences: does not hold https://gateway.example.org/fhir, the public_base_url: "
        "tokens that are issued for another server are accepted.",
        "Warning: listen.trusted_proxies: is empty, but a proxy must stand in front, because public_base_url is https: "
        "all clients then have the address of the proxy, and share its limits.",
        f"Warning: smart_server.clients[{len(clients) - 1}].require_pkce: is false, and old-app is public: whoever "
        "sees a code of this app can redeem it.",
        "Warning: development: is true, and listen.host is 0.0.0.0, which other machines can reach.",
    ]


def test_a_file_that_cannot_be_read_is_one_sentence_and_exit_status_two(tmp_path: Path) -> None:
    for command in ("check-config", "serve"):
        assert run(command, "--config", "/nowhere.yaml") == (
            2,
            "",
            "/nowhere.yaml: cannot be read: no such file or directory\n",
        )
        assert run(command, "--config", str(tmp_path))[0] == 2
    values = valid_values(make_files(tmp_path))
    problems_of(tmp_path, values)
    words = ("clients", "add", "--name", "X", "--config", str(tmp_path / "gateway.yaml"), "--jwks-file", "/nowhere")
    assert run(*words) == (2, "", "/nowhere: no such file or directory\n")


def test_a_file_of_the_wrong_kind_is_one_sentence_too(tmp_path: Path) -> None:
    jwks, private = tmp_path / "jwks.json", tmp_path / "jwks.private.json"
    private.write_text("garbage")
    status, output, error = run("development-key", str(jwks))
    assert (status, output, len(error.splitlines())) == (1, "", 1)
    assert "holds no private EC or RSA key" in error
    problems_of(tmp_path, valid_values(make_files(tmp_path)))
    words = ("clients", "add", "--name", "X", "--config", str(tmp_path / "gateway.yaml"), "--jwks-file", str(private))
    assert run(*words) == (1, "", f"{private}: is not JSON\n")


def test_a_configuration_that_cannot_be_used_ends_serve_without_a_traceback(tmp_path: Path) -> None:
    values = valid_values(make_files(tmp_path))
    put(values, "smart_server.store", "postgres://x")
    problems_of(tmp_path, values)
    for command in ("check-config", "serve"):
        status, _, error = run(command, "--config", str(tmp_path / "gateway.yaml"))
        assert status == 1
        assert len(error.splitlines()) == 1
        assert "smart_server.store: cannot be used" in error


def test_traces_without_the_packages_that_they_need_are_one_sentence(tmp_path: Path) -> None:
    values = valid_values(make_files(tmp_path)) | {"tracing": {"endpoint": "http://collector:4318/v1/traces"}}
    assert problems_of(tmp_path, values) == []
    # As if the packages were not there: this is what Python does with a module that must not be imported.
    program = "import sys; sys.modules['opentelemetry'] = None; from gateway.__main__ import main; main()"
    for command in ("check-config", "serve"):
        words = [sys.executable, "-c", program, command, "--config", str(tmp_path / "gateway.yaml")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        told = "tracing: needs packages that are not installed: pip install 'smart-fhir-gateway[otel]'"
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert told in done.stderr


@pytest.mark.parametrize("setting", ["listen", "metrics"])
def test_a_port_in_use_is_one_sentence_and_exit_status_two(tmp_path: Path, setting: str) -> None:
    values = valid_values(make_files(tmp_path)) | {"listen": {"port": 0}, "metrics": {"port": 0}}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        values[setting] = {"port": port}
        problems_of(tmp_path, values)
        assert run("serve", "--config", str(tmp_path / "gateway.yaml")) == (
            2,
            "",
            f"{setting}: 127.0.0.1 port {port} cannot be listened on: address already in use.\n",
        )


async def wait_for(url: str, status: int) -> str:
    """The body of the first response with that status."""
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        while True:
            response = await http.get(url)
            if response.status_code == status:
                return response.text
            await asyncio.sleep(0.05)


async def test_a_store_that_is_down_at_start_is_waited_for_and_told_once(tmp_path: Path) -> None:
    port, store = free_port(), Node()
    root = f"http://127.0.0.1:{port}"
    values = valid_values(make_files(tmp_path)) | {"listen": {"port": port}, "metrics": {"port": None}}
    del values["smart_server"]["signing_key_file"]
    put(values, "smart_server.store", f"redis://127.0.0.1:{store.port}")
    command = with_leash([sys.executable, "-m", "gateway", "serve", "--config", str(tmp_path / "gateway.yaml")])
    async with lenient_server() as upstream:
        values["upstream"] = {"base_url": upstream.base_url}
        assert problems_of(tmp_path, values) == []
        gateway = await asyncio.to_thread(start_process, "gateway", command, root, ready_path="/healthz")
        try:
            assert await wait_for(f"{root}/readyz", 503) == "not ready: store_away\n"
            assert "temporarily_unavailable" in await wait_for(f"{root}/auth/jwks", 503)
            await asyncio.to_thread(store.start().wait_until_ready)
            assert (await wait_for(f"{root}/readyz", 200)).startswith("ready\n")
            assert '"kid"' in await wait_for(f"{root}/auth/jwks", 200)
            lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
        finally:
            await asyncio.to_thread(gateway.stop)
            store.stop()
    told = [line["event"] for line in lines if line.get("logger") == "gateway.smart_server.events.store_log"]
    assert told == ["the store does not answer", "the store answers again"]
    assert not any("error" in line for line in lines)


def test_every_address_of_a_name_is_listened_on() -> None:
    found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    opened = open_sockets("listen", "localhost", free_port())
    assert {one.family for one in opened} == {family for family, *_ in found}
    for one in opened:
        one.close()


def test_a_name_without_an_address_is_one_sentence() -> None:
    with pytest.raises(ListenError, match=r"^listen: nowhere\.invalid port 80 cannot be listened on: .+\.$"):
        open_sockets("listen", "nowhere.invalid", 80)


def test_the_version_is_told() -> None:
    assert run("--version") == (0, f"smart-gateway {version('smart-fhir-gateway')}\n", "")


def test_an_older_python_is_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14, "final", 0))
    monkeypatch.setattr(sys, "version", "3.10.14 (main)")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "smart-gateway needs Python 3.11 or newer; this is 3.10.14.\n"
