"""HAPI FHIR, the server that most users have: a real JPA server from Maven Central's jars and one Java class."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from scripts.install_once import CACHE, install_once, say
from tests.servers.load import LoadError
from tests.servers.load import load as load_bundles
from tests.servers.population import population_transactions
from tests.servers.ports import free_port
from tests.servers.process import (
    NotAvailable,
    Server,
    StartError,
    require_tools,
    run_until_stopped,
    start_process,
)

SOURCE = Path(__file__).parent / "hapi"

_JAVA = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""The options with which it needs the least memory and processor time."""

_START_SECONDS = 180.0


def build() -> Path:
    """The folder with HAPI's jars and our compiled class, made again when either source has changed.

    Raises `NotAvailable` when this machine has no Java 17 or no Maven.
    """
    require_tools("java")
    stamp = "\n".join((SOURCE / name).read_text() for name in ("pom.xml", "HapiServer.java"))
    return install_once(CACHE / "hapi", stamp, _build)


def _build(folder: Path) -> None:
    require_tools("javac", "mvn")
    say("Fetching HAPI FHIR from Maven Central (once, 213 MB, a minute) ...")
    copy = ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    subprocess.run([*copy, f"-DoutputDirectory={folder / 'jars'}"], cwd=SOURCE, check=True)
    say("Compiling the class that starts it ...")
    compiler = ["javac", "-proc:none", "-nowarn", "-cp", f"{folder / 'jars'}/*", "-d", str(folder / "classes")]
    subprocess.run([*compiler, str(SOURCE / "HapiServer.java")], check=True)


def start_hapi(strict: bool = False, port: int | None = None, load: bool = True, export: bool = False) -> Server:
    """Start HAPI on a loopback port (a free one by default), holding the population unless `load` is false.

    `strict` is how most deployments run: referential integrity, and search results reused for 60 seconds. With `export`
    it has bulk export.
    Raises `NotAvailable` without Java and Maven, `StartError` when it does not come up in three minutes.
    """
    folder = build()
    port = port or free_port()
    base_url = f"http://127.0.0.1:{port}/fhir"
    files = Path(tempfile.mkdtemp(prefix="hapi-"))
    java = ["java", *_JAVA, f"-Djava.io.tmpdir={files}", "-cp", f"{folder / 'classes'}:{folder / 'jars'}/*"]
    flags = [*(["--strict"] if strict else []), *(["--export"] if export else [])]
    command = [*java, "HapiServer", str(port), *flags]
    say("Starting HAPI FHIR (some 20 seconds) ...")
    server = start_process("hapi", command, base_url, deadline_seconds=_START_SECONDS, folder=files)
    if load:
        try:
            load_bundles(base_url, population_transactions())
        except BaseException:
            server.stop()
            raise
    return server


def main() -> None:
    """Run HAPI with the population until standard input closes or SIGTERM comes; the first line is its base URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.hapi_server", description=main.__doc__)
    parser.add_argument("--port", type=int, help="loopback port; a free one by default")
    parser.add_argument("--strict", action="store_true", help="referential integrity and reused search results")
    arguments = parser.parse_args()
    try:
        server = start_hapi(arguments.strict, arguments.port)
    except (NotAvailable, StartError, LoadError, subprocess.CalledProcessError) as problem:
        parser.exit(1, f"{problem}\n")
    print(server.base_url, flush=True)  # noqa: T201
    run_until_stopped(server)


if __name__ == "__main__":
    main()
