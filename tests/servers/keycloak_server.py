"""Keycloak, the authorization server that most users have: a real one, from Maven Central's own distribution."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.install_once import CACHE, install_once, say
from tests.servers.ports import free_port
from tests.servers.process import (
    NotAvailable,
    Server,
    StartError,
    require_tools,
    run_until_stopped,
    start_process,
    with_leash,
)

SOURCE = Path(__file__).parent / "keycloak"

ADMINISTRATOR = "administrator"
"""The name and the password of the master realm's administrator, on the loopback interface only."""

_BUILD = ("build", "--db=dev-file", "--health-enabled=true", "--http-management-health-enabled=false")

_JAVA = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8")
"""The options with which it needs the least memory and processor time."""

_OPEN_PACKAGES = ("java.util", "java.util.concurrent", "java.security", "java.lang")

_START_SECONDS = 120.0

_DATABASE = "kc.mv.db"


def build() -> Path:
    """The folder with Keycloak, built for one quick start, and a database that holds its administrator.

    Raises `NotAvailable` when this machine has no Java 17 or no Maven.
    """
    require_tools("java")
    stamp = "\n".join(((SOURCE / "pom.xml").read_text(), *_BUILD))
    return install_once(CACHE / "keycloak", stamp, _build)


def _build(folder: Path) -> None:
    require_tools("mvn")
    say("Fetching Keycloak from Maven Central (once, 177 MB) ...")
    unpack = ["mvn", "--batch-mode", "--quiet", "dependency:unpack-dependencies"]
    # Maven's marker files belong into the build folder, not into the checkout.
    places = [f"-DoutputDirectory={folder}", f"-DmarkersDirectory={folder / 'markers'}"]
    subprocess.run([*unpack, *places], cwd=SOURCE, check=True)
    next(folder.glob("keycloak-*")).rename(folder / "home")
    say("Building it and filling its database (once, half a minute) ...")
    first = Path(tempfile.mkdtemp(prefix="keycloak-"))
    # Progress is on standard output; the error about an old Java is on standard error.
    subprocess.run([*_java_command(folder, first), *_BUILD], check=True, stdout=subprocess.DEVNULL)
    filled = folder / "filled"
    filled.mkdir()
    with _start(folder, free_port(), first) as server:
        # The database file is complete only after a shutdown.
        server.process.stdin.close()  # type: ignore[union-attr]  # `launch` gives it a pipe
        server.process.wait()
        shutil.copy(first / _DATABASE, filled)


def start_keycloak(port: int | None = None) -> Server:
    """Start Keycloak on a loopback port (a free one by default): no realm but `master`. `base_url` is its root.

    Raises `NotAvailable` without Java and Maven, `StartError` when it does not come up in two minutes.
    """
    folder = build()
    files = Path(tempfile.mkdtemp(prefix="keycloak-"))
    shutil.copy(folder / "filled" / _DATABASE, files)
    say("Starting Keycloak (some 10 seconds) ...")
    return _start(folder, port or free_port(), files)


def _start(folder: Path, port: int, files: Path) -> Server:
    # With a fixed host name, the issuer does not depend on the Host header.
    base_url = f"http://127.0.0.1:{port}"
    options = (
        "start",
        "--optimized",
        "--http-enabled=true",
        f"--hostname={base_url}",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
        "--cache=local",
        f"--db-url=jdbc:h2:file:{files / _DATABASE.partition('.')[0]};NON_KEYWORDS=VALUE",
    )
    return start_process(
        "keycloak",
        with_leash([*_java_command(folder, files), *options]),
        base_url,
        ready_path="/health/ready",
        deadline_seconds=_START_SECONDS,
        folder=files,
        environment={"KC_BOOTSTRAP_ADMIN_USERNAME": ADMINISTRATOR, "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMINISTRATOR},
    )


def _java_command(folder: Path, files: Path) -> list[str]:
    """The command that starts Java directly: `kc.sh` starts it as a child, which survives when the script is ended."""
    home = folder / "home"
    return [
        "java",
        *_JAVA,
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPEN_PACKAGES),
        f"-Djava.io.tmpdir={files}",
        f"-Dkc.home.dir={home}",
        f"-Djboss.server.config.dir={home / 'conf'}",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-Dpicocli.disable.closures=true",
        "-cp",
        str(home / "lib" / "quarkus-run.jar"),
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
    ]


def main() -> None:
    """Run Keycloak until standard input closes or SIGTERM comes; the first line is its root URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.keycloak_server", description=main.__doc__)
    parser.add_argument("--port", type=int, help="loopback port; a free one by default")
    arguments = parser.parse_args()
    try:
        server = start_keycloak(arguments.port)
    except (NotAvailable, StartError, subprocess.CalledProcessError) as problem:
        parser.exit(1, f"{problem}\n")
    print(server.base_url, flush=True)  # noqa: T201
    run_until_stopped(server)


if __name__ == "__main__":
    main()
