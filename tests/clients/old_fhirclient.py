"""fhirclient 4.3.1 of PyPI, the last release without PKCE, in its own environment."""

import subprocess
import sys
from pathlib import Path

from scripts.install_once import CACHE, NotAvailable, install_once, say

_LOCK = Path(__file__).parent / "fhirclient-4.3.txt"
_INSTALL_SECONDS = 120


def python_with_old_fhirclient() -> str:
    """The Python of that environment. Raises `NotAvailable`."""
    return str(install_once(CACHE / "fhirclient-4.3", _LOCK.read_text(), _install) / "bin/python")


def _install(folder: Path) -> None:
    say("Installing fhirclient 4.3.1 from PyPI (once) ...")
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*pip, "-r", str(_LOCK)], check=True, timeout=_INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable("pip could not install fhirclient 4.3.1, which needs its registry once.") from problem
