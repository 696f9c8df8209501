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
from typing import Any

import orjson

from gateway.commands.mint import write_development_key
from gateway.credentials.passwords import hash_password
from scripts.demo_app import DemoApp
from scripts.demo_ports import Ports, add_port_arguments

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".run"
PASSWORD = "demo"
COMMAND = ".venv/bin/smart-gateway"
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream", nargs="?", default="sekmet", help="sekmet, hapi, or the base URL of a FHIR server")
    add_port_arguments(parser)
    parser.add_argument("--folder", type=Path, default=RUN, help="where its files go (default .run)")
    arguments = parser.parse_args()
    ports = Ports.beside(arguments.port, arguments.app_port, arguments.metrics_port)
    taken = ports.find_taken()
    if taken:
        print("\n".join(taken), file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    app = DemoApp(ports.app, f"http://127.0.0.1:{ports.gateway}/fhir")
    with (
        running_upstream(arguments.upstream) as base_url,
        running_gateway(base_url, ports, arguments.folder) as process,
    ):
        print_addresses(ports)
        print_commands(base_url, ports, arguments.folder)
        while not stop.is_set() and process.poll() is None:
            stop.wait(0.2)
    app.stop()
    return 0


@contextlib.contextmanager
def running_upstream(choice: str) -> Iterator[str]:
    """The base URL of the FHIR server. One that is started here stops at the end of the block."""
    if choice.startswith(("http://", "https://")):
        yield choice.rstrip("/")
        return
    if choice == "hapi":
        from tests.servers.hapi_server import start_hapi  # noqa: PLC0415 - the others need no Java

        say("Starting HAPI FHIR with synthetic patients; the first time it is built, which takes a minute ...")
        server = start_hapi(load=False)
    elif choice == "sekmet":
        from tests.servers.sekmet import start_sekmet  # noqa: PLC0415 - the others need no second venv

        say("Starting sekmet-fhir with synthetic patients; the first time it is installed, which takes a minute ...")
        server = start_sekmet(load=False)
    else:
        raise SystemExit(f"UPSTREAM is sekmet, hapi or a URL that begins with http:// or https://, not {choice!r}.")
    from scripts.demo_records import demo_transactions  # noqa: PLC0415 - another server needs no records of ours
    from tests.servers.load import load  # noqa: PLC0415

    try:
        load(server.base_url, demo_transactions())
        yield server.base_url
    finally:
        server.stop()


@contextlib.contextmanager
def running_gateway(base_url: str, ports: Ports, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The gateway in front of `base_url`, with a development issuer. Its files are in `folder`."""
    folder.mkdir(exist_ok=True)
    write_development_key(folder / "development-jwks.json")
    config = folder / "gateway.yaml"
    config.write_text(make_configuration(base_url, ports, folder), encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "gateway", "serve", "--config", str(config)], cwd=ROOT)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{ports.gateway}/readyz")
        yield process
    finally:
        process.terminate()
        process.wait()


def make_configuration(base_url: str, ports: Ports, folder: Path) -> str:
    """The smallest configuration, for this machine only."""
    public = f"http://127.0.0.1:{ports.gateway}/fhir"
    app = f"http://127.0.0.1:{ports.app}"
    patient = f"Patient/{find_two_patients(base_url)[0]}"
    practitioner = find_practitioner(base_url)
    doctor_name, patient_name = find_name(base_url, practitioner, "Dr Demo"), find_name(base_url, patient, "Pat Demo")
    password_hash = hash_password(PASSWORD)
    return f"""# Written by `make run` each time; config/gateway.yaml explains every setting.
public_base_url: {public}
development: true
listen: {{port: {ports.gateway}}}
metrics: {{port: {ports.metrics}}}
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
    - {{username: doctor, name: {doctor_name}, password_hash: "{password_hash}", fhir_user: {practitioner}}}
    - {{username: patient, name: {patient_name}, password_hash: "{password_hash}", fhir_user: {patient}}}
issuers:
  - issuer: https://development.invalid
    audiences: ["{public}"]
    jwks_file: {folder / "development-jwks.json"}
audit:
  destination: {folder / "audit.jsonl"}
  events: {{spool: {folder / "audit-spool"}, file: {folder / "audit-events.ndjson"}}}
"""


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Wait until `url` responds with 200. Raises `SystemExit` if the gateway ends, or after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=20)
            return
        time.sleep(0.1)
    raise SystemExit("The gateway did not become ready; its messages are above.")


def find_two_patients(base_url: str) -> tuple[str, str]:
    """The ids of two patients: those of the synthetic population if the server has them, else the first two."""
    for query in ("_id=pat-a,pat-b", "_count=2"):
        request = urllib.request.Request(f"{base_url}/Patient?{query}", headers={"accept": "application/fhir+json"})
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=20) as response:
            ids = sorted(entry["resource"]["id"] for entry in orjson.loads(response.read()).get("entry", []))
            if len(ids) >= 2:
                return ids[0], ids[1]
    return "A", "B"


def find_name(base_url: str, reference: str, default: str) -> str:
    """The name of a person of the server as YAML, so that who signs in is called like their record."""
    name: dict[str, Any] = {}
    problems = OSError, KeyError, IndexError, orjson.JSONDecodeError
    url = f"{base_url}/{reference}"
    with contextlib.suppress(*problems), urllib.request.urlopen(url, timeout=20) as response:
        name = orjson.loads(response.read())["name"][0]
    parts = [*name.get("prefix", []), *name.get("given", []), name.get("family")]
    return orjson.dumps(name.get("text") or " ".join(filter(None, parts)) or default).decode()


def find_practitioner(base_url: str) -> str:
    """A practitioner of the server, or one that does not exist, which permits the same."""
    with contextlib.suppress(OSError, KeyError, IndexError, orjson.JSONDecodeError):
        with urllib.request.urlopen(f"{base_url}/Practitioner?_count=1", timeout=20) as response:
            practitioner_id = orjson.loads(response.read())["entry"][0]["resource"]["id"]
        return f"Practitioner/{practitioner_id}"
    return "Practitioner/demo"


def print_addresses(ports: Ports) -> None:
    """Print the addresses to open in a browser."""
    print(f"""
The gateway is ready. Open in a browser:

  the apps, as an EHR shows them     http://127.0.0.1:{ports.gateway}/auth/apps
  an app that starts by itself       http://127.0.0.1:{ports.app}
  the access that you granted        http://127.0.0.1:{ports.gateway}/auth/manage

Sign in as doctor, who may see every patient, or as patient, who sees one record. The password is {PASSWORD}.
""", flush=True)  # fmt: skip


def print_commands(base_url: str, ports: Ports, folder: Path) -> None:
    """Print five commands to try."""
    public = f"http://127.0.0.1:{ports.gateway}/fhir"
    config = os.path.relpath(folder / "gateway.yaml")
    patient, other_patient = find_two_patients(base_url)
    granular = f"patient/Observation.rs?category={LAB}"

    def curl(scope: str, path: str) -> str:
        token = f"$({COMMAND} mint -c {config} --patient {patient} --scope '{scope}')"
        return f"curl -s -H \"Authorization: Bearer {token}\" '{public}{path}'"

    print(f"""
  FHIR base     {public}
  behind it     {base_url}
  metadata      {public}/metadata
  metrics       http://127.0.0.1:{ports.metrics}/metrics
  audit lines   {os.path.relpath(folder / "audit.jsonl")}

Five commands to paste into another terminal, in this folder:

1. A read that the token permits:
   {curl("patient/*.rs", f"/Patient/{patient}")}

2. A search for everything, narrowed to the token's patient:
   {curl("patient/*.rs", "/Observation?_count=5")}

3. A granular scope, laboratory results only:
   {curl(granular, "/Observation?_count=5")}

4. Another patient's record: the same response as for one that does not exist:
   {curl("patient/*.rs", f"/Patient/{other_patient}")}

5. A refusal, explained by the decision itself:
   {COMMAND} explain -c {config} --scope 'patient/Observation.r' --patient {patient} GET '/Observation?code=1234-5'

Ctrl-C ends everything.
""", flush=True)  # fmt: skip


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
