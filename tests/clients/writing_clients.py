"""Two Python clients that write, fhirpy and fhir-kindling of PyPI, in an environment of their own."""

import subprocess
import sys
from pathlib import Path

from scripts.install_once import CACHE, NotAvailable, install_once, say

_LOCK = Path(__file__).parent / "writing-clients.txt"
_INSTALL_SECONDS = 240


def python_with_writing_clients() -> str:
    """The Python of that environment. Raises `NotAvailable`."""
    return str(install_once(CACHE / "writing-clients", _LOCK.read_text(), _install) / "bin/python")


def _install(folder: Path) -> None:
    say("Installing fhirpy and fhir-kindling from PyPI (once, half a minute) ...")
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*pip, "-r", str(_LOCK)], check=True, timeout=_INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable(
            "pip could not install fhirpy and fhir-kindling, which needs its registry once."
        ) from problem
