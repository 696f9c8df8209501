"""`make run`: a FHIR server with synthetic patients, the gateway in front of it, and commands to paste.

python -m scripts.demo                            in front of sekmet-fhir, in a venv of its own
python -m scripts.demo hapi                       in front of a real HAPI FHIR (needs Java 17 and Maven)
python -m scripts.demo http://host:8080/fhir      in front of your own server
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson

from gateway.commands.mint import make_key
from gateway.keys.passwords import hash_password
from scripts.demo_app import DemoApp

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".run"
METRICS_OFFSET = 1010
APP_OFFSET = 1
PASSWORD = "demo"
COMMAND = ".venv/bin/smart-gateway"
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream", nargs="?", default="sekmet", help="sekmet, hapi, or the base URL of a FHIR server")
    parser.add_argument("--port", type=int, default=8080, help="port of the gateway (default 8080)")
    parser.add_argument("--folder", type=Path, default=RUN, help="where its files go (default .run)")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    app = DemoApp(arguments.port + APP_OFFSET, f"http://127.0.0.1:{arguments.port}/fhir")
    with upstream(arguments.upstream) as base_url, gateway(base_url, arguments.port, arguments.folder) as process:
        print_way_in(arguments.port)
        print_commands(base_url, arguments.port, arguments.folder)
        while not stop.is_set() and process.poll() is None:
            stop.wait(0.2)
    app.stop()
    return 0


@contextlib.contextmanager
def upstream(asked: str) -> Iterator[str]:
    """The base URL of the server to stand in front of; one of our own ends with the block."""
    if asked.startswith(("http://", "https://")):
        yield asked.rstrip("/")
        return
    if asked == "hapi":
        from tests.servers.hapi_server import start_hapi  # noqa: PLC0415 - the other ways need no Java

        say("Starting HAPI FHIR with synthetic patients; the first time it is built, which takes a minute ...")
        server = start_hapi()
    elif asked == "sekmet":
        from tests.servers.sekmet import start_sekmet  # noqa: PLC0415 - the other ways need no second venv

        say("Starting sekmet-fhir with synthetic patients; the first time it is installed, which takes a minute ...")
        server = start_sekmet()
    else:
        raise SystemExit(f"UPSTREAM is sekmet, hapi or a URL that begins with http:// or https://, not {asked!r}.")
    try:
        yield server.base_url
    finally:
        server.stop()


@contextlib.contextmanager
def gateway(base_url: str, port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The gateway in front of `base_url`, with a development issuer; what it writes goes to `folder`."""
    folder.mkdir(exist_ok=True)
    make_key(folder / "development-jwks.json")
    config = folder / "gateway.yaml"
    config.write_text(configuration(base_url, port, folder), encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "gateway", "serve", "--config", str(config)], cwd=ROOT)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/readyz")
        yield process
    finally:
        process.terminate()
        process.wait()


def configuration(base_url: str, port: int, folder: Path) -> str:
    """The least that a gateway needs, for this machine alone."""
    public = f"http://127.0.0.1:{port}/fhir"
    app = f"http://127.0.0.1:{port + APP_OFFSET}"
    one, _ = two_patients(base_url)
    practitioner = a_practitioner(base_url)
    password_hash = hash_password(PASSWORD)
    return f"""# Written by `make run` each time; config/gateway.yaml explains every setting.
public_base_url: {public}
development: true
listen: {{port: {port}}}
metrics: {{port: {port + METRICS_OFFSET}}}
upstream: {{base_url: "{base_url}"}}
smart_server:
  sign_in_hint: "Demonstration: sign in as doctor or as patient, with the password {PASSWORD}."
  admin_token: {secrets.token_urlsafe(24)}
  clients:
    - client_id: vital-lines
      name: Vital Lines
      purpose: Shows results, problems and medicines on one page.
      redirect_uris: ["{app}/index.html"]
      launch_uris: ["{app}/launch.html"]
  launchers:
    - {{client_id: ehr, client_secret: {PASSWORD}}}
  users:
    - {{username: doctor, name: Dr Dora Demo, password_hash: "{password_hash}", fhir_user: {practitioner}}}
    - {{username: patient, name: Pat Demo, password_hash: "{password_hash}", fhir_user: Patient/{one}}}
issuers:
  - issuer: https://development.invalid
    audiences: ["{public}"]
    jwks_file: {folder / "development-jwks.json"}
audit: {{destination: {folder / "audit.jsonl"}}}
"""


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Return when `url` answers 200. Raises `SystemExit` where the gateway ends or a minute passes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=20)
            return
        time.sleep(0.1)
    raise SystemExit("The gateway did not become ready; what it said is above.")


def two_patients(base_url: str) -> tuple[str, str]:
    """The ids of two patients of the server: ours where they are there, else the first two."""
    for query in ("_id=pat-a,pat-b", "_count=2"):
        request = urllib.request.Request(f"{base_url}/Patient?{query}", headers={"accept": "application/fhir+json"})
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=20) as response:
            ids = [entry["resource"]["id"] for entry in orjson.loads(response.read()).get("entry", [])]
            if len(ids) >= 2:
                return ids[0], ids[1]
    return "A", "B"


def a_practitioner(base_url: str) -> str:
    """A practitioner of the server, or a name that is none: whoever signs in may see everybody then as well."""
    with contextlib.suppress(OSError, KeyError, IndexError, orjson.JSONDecodeError):
        with urllib.request.urlopen(f"{base_url}/Practitioner?_count=1", timeout=20) as answer:
            found = orjson.loads(answer.read())["entry"][0]["resource"]["id"]
        return f"Practitioner/{found}"
    return "Practitioner/demo"


def print_way_in(port: int) -> None:
    """What to open in a browser."""
    print(f"""
The gateway is ready. Open in a browser:

  the apps, as an EHR shows them     http://127.0.0.1:{port}/auth/apps
  an app that starts by itself       http://127.0.0.1:{port + APP_OFFSET}
  what you granted, to end it        http://127.0.0.1:{port}/auth/manage

Sign in as doctor, who may see every patient, or as patient, who sees one record. The password is {PASSWORD}.
""", flush=True)  # fmt: skip


def print_commands(base_url: str, port: int, folder: Path) -> None:
    """Five things to try."""
    public = f"http://127.0.0.1:{port}/fhir"
    config = os.path.relpath(folder / "gateway.yaml")
    one, other = two_patients(base_url)
    granular = f"patient/Observation.rs?category={LAB}"

    def curl(scope: str, path: str) -> str:
        token = f"$({COMMAND} mint -c {config} --patient {one} --scope '{scope}')"
        return f"curl -s -H \"Authorization: Bearer {token}\" '{public}{path}'"

    print(f"""
  FHIR base     {public}
  behind it     {base_url}
  metadata      {public}/metadata
  metrics       http://127.0.0.1:{port + METRICS_OFFSET}/metrics
  audit lines   {os.path.relpath(folder / "audit.jsonl")}

Five commands to paste into another terminal, in this folder:

1. A read that the token permits:
   {curl("patient/*.rs", f"/Patient/{one}")}

2. A search for everything, narrowed to the token's patient:
   {curl("patient/*.rs", "/Observation?_count=5")}

3. A granular scope, laboratory results only:
   {curl(granular, "/Observation?_count=5")}

4. Another patient's record: the same answer as for one that does not exist:
   {curl("patient/*.rs", f"/Patient/{other}")}

5. A refusal, explained by the decision itself:
   {COMMAND} explain -c {config} --scope 'patient/Observation.r' --patient {one} GET '/Observation?code=1234-5'

Ctrl-C ends everything.
""", flush=True)  # fmt: skip


def say(words: str) -> None:
    """A line of progress."""
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
