"""A terminal beside a running gateway, in which the commands of the documentation run as they are printed."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.demo import make_configuration
from scripts.demo_ports import Ports
from tests.servers.ports import free_port
from tests.servers.process import start_process, with_leash
from tests.servers.sekmet import start_sekmet

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_KEPT = "VERIFIER TOKEN REFRESH DECISION"
# Audit lines are written twice a second.
_PATIENCE_SECONDS = 20.0


def runnable_blocks(page: str) -> list[str]:
    """The `sh` blocks of a page, without the first one that only names the gateway of `make run`."""
    blocks = _BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    return [block for block in blocks if not block.startswith("export GATEWAY=")]


@dataclass
class Shell:
    """A terminal. Each block runs in a shell of its own, which gets the variables of the blocks before."""

    folder: Path
    environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, block: str) -> str:
        """Run a block and return what it prints. The variables that it sets are kept for the next one."""
        process = self._run(block)
        assert process.returncode == 0, process.stdout + process.stderr
        return self._keep_variables(process.stdout)

    def run_until(self, block: str, *expected: str) -> None:
        """Run a block of commands that look, again until it succeeds and prints all that is expected."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            process = self._run(block)
            if process.returncode == 0 and all(words in process.stdout for words in expected):
                self._keep_variables(process.stdout)
                return
            assert time.monotonic() < deadline, f"{expected} not in:\n{block}{process.stdout}{process.stderr}"

    def _run(self, block: str) -> "subprocess.CompletedProcess[str]":
        print_variables = f'for name in {_KEPT}; do echo "$name=${{!name}}"; done'
        return subprocess.run(
            ["bash", "-c", f"set -e\n{block}\necho '{_SEPARATOR}'\n{print_variables}\n"],
            cwd=self.folder,
            env={**self.environment, **self.variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _keep_variables(self, output: str) -> str:
        printed, _, variables = output.partition(f"{_SEPARATOR}\n")
        self.variables |= dict(line.split("=", 1) for line in variables.splitlines() if not line.endswith("="))
        return printed


_SEPARATOR = "--- variables ---"


def open_terminal(store: str | None = None) -> Iterator[Shell]:
    """A shell in a folder like that of `make run`, while a gateway and its FHIR server run as they do there.

    `store` is the URL of a Redis; without it the state is in memory, as there.
    """
    folder = Path(tempfile.mkdtemp(prefix="patterns-"))
    (folder / ".run").mkdir()
    with start_sekmet() as upstream:
        port = free_port()
        text = make_configuration(upstream.base_url, Ports.beside(port), folder / ".run")
        text = re.sub(r"metrics: .*", "metrics: {port: null}", text)
        if store is not None:
            text = text.replace("smart_server:\n", f"smart_server:\n  store: {store}\n")
        subprocess.run(
            [sys.executable, "-m", "gateway", "development-key", str(folder / ".run" / "development-jwks.json")],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        config = folder / ".run" / "gateway.yaml"
        config.write_text(text, encoding="utf-8")
        root = f"http://127.0.0.1:{port}"
        command = with_leash([sys.executable, "-m", "gateway", "serve", "--config", str(config)])
        with start_process("gateway", command, root, ready_path="/readyz"):
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            yield Shell(folder, {**os.environ, "GATEWAY": root, "CONFIG": str(config), "PATH": path})
