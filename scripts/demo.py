"""`make run`: a FHIR server with synthetic patients, the gateway in front of it, and commands to paste.

python -m scripts.demo                            in front of sekmet-fhir, in a venv of its own
python -m scripts.demo hapi                       in front of a real HAPI FHIR (needs Java 17 and Maven)
python -m scripts.demo http://host:8080/fhir      in front of your own server
"""

import argparse
import contextlib
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

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".run"
CONFIG = RUN / "gateway.yaml"
METRICS_OFFSET = 1010
COMMAND = ".venv/bin/smart-gateway"
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream", nargs="?", default="sekmet", help="sekmet, hapi, or the base URL of a FHIR server")
    parser.add_argument("--port", type=int, default=8080, help="port of the gateway (default 8080)")
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with upstream(arguments.upstream) as base_url, gateway(base_url, arguments.port) as process:
        print_commands(base_url, arguments.port)
        while not stop.is_set() and process.poll() is None:
            stop.wait(0.2)
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
def gateway(base_url: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The gateway in front of `base_url`, with a development issuer; its audit lines go to .run/audit.jsonl."""
    RUN.mkdir(exist_ok=True)
    make_key(RUN / "development-jwks.json")
    CONFIG.write_text(configuration(base_url, port), encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "gateway", "serve", "--config", str(CONFIG)], cwd=ROOT)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/readyz")
        yield process
    finally:
        process.terminate()
        process.wait()


def configuration(base_url: str, port: int) -> str:
    """The least that a gateway needs, for this machine alone."""
    public = f"http://127.0.0.1:{port}/fhir"
    return f"""# Written by `make run` each time; config/gateway.yaml explains every setting.
public_base_url: {public}
development: true
listen: {{port: {port}}}
metrics: {{port: {port + METRICS_OFFSET}}}
upstream: {{base_url: "{base_url}"}}
issuers:
  - issuer: https://development.invalid
    audiences: ["{public}"]
    jwks_file: {RUN / "development-jwks.json"}
audit: {{destination: {RUN / "audit.jsonl"}}}
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


def print_commands(base_url: str, port: int) -> None:
    """Five things to try."""
    public = f"http://127.0.0.1:{port}/fhir"
    one, other = two_patients(base_url)
    granular = f"patient/Observation.rs?category={LAB}"

    def curl(scope: str, path: str) -> str:
        token = f"$({COMMAND} mint -c .run/gateway.yaml --patient {one} --scope '{scope}')"
        return f"curl -s -H \"Authorization: Bearer {token}\" '{public}{path}'"

    print(f"""
The gateway is ready.

  FHIR base     {public}
  behind it     {base_url}
  metadata      {public}/metadata
  metrics       http://127.0.0.1:{port + METRICS_OFFSET}/metrics
  audit lines   .run/audit.jsonl

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
   {COMMAND} explain -c .run/gateway.yaml --scope 'patient/Observation.r' --patient {one} GET '/Observation?code=1234-5'

Ctrl-C ends everything.
""", flush=True)  # fmt: skip


def say(words: str) -> None:
    """A line of progress."""
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
