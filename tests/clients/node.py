"""Node for the clients in JavaScript, with their packages, and their scripts as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.install_once import NotAvailable
from scripts.node import find_node

HERE = Path(__file__).parent
_INSTALL_SECONDS = 240
_READY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Node:
    """The command, and the environment that its scripts run in."""

    command: str
    environment: dict[str, str]

    async def run(self, script: str, arguments: dict[str, Any], *, seconds: float = 90) -> dict[str, Any]:
        """What a script of this folder prints as JSON when it is told `asked` as JSON."""
        process = await asyncio.create_subprocess_exec(
            self.command, str(HERE / script), json.dumps(arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment,
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), seconds)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{script} ended with {process.returncode}:\n{errors.decode()[-4000:]}"
        result: dict[str, Any] = json.loads(output)
        return result

    @contextlib.asynccontextmanager
    async def running(self, script: str, arguments: dict[str, Any]) -> AsyncIterator[None]:
        """Run a script that prints `ready` when it listens, and ends when its standard input is closed."""
        process = await asyncio.create_subprocess_exec(
            self.command, str(HERE / script), json.dumps(arguments),
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


def find_node_with_packages() -> Node:
    """Node with the packages of `package-lock.json` in this folder. Raises `NotAvailable`."""
    node = find_node()
    try:
        node.install(HERE, "the JavaScript clients", seconds=_INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise NotAvailable("npm could not install the JavaScript clients, which needs its registry once.") from problem
    return Node(node.node, node.environment)
