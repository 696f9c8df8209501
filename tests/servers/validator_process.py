"""HAPI's validator of FHIR resources as a process: lines of JSON in, what is wrong with each out."""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.servers.hapi_server import build

SOURCE = Path(__file__).parent / "validator" / "ValidateAuditEvents.java"


def validate_resources(lines: Iterable[bytes], profiles: Path) -> list[list[str]]:
    """The errors of each line, by R4 and by the profiles in a folder that it claims.

    Raises `NotAvailable` when this machine has no Java 17 or no Maven.
    """
    jars = f"{build() / 'jars'}/*"
    with tempfile.TemporaryDirectory(prefix="validator-") as classes:
        compiler = ["javac", "-proc:none", "-nowarn", "-cp", jars, "-d", classes, str(SOURCE)]
        subprocess.run(compiler, check=True)
        java = ["java", "-Xmx700m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{jars}", SOURCE.stem, str(profiles)]
        answer = subprocess.run(java, input=b"\n".join(lines) + b"\n", capture_output=True, check=True)
    return [[] if line == "ok" else line.split("\t") for line in answer.stdout.decode().splitlines()]
