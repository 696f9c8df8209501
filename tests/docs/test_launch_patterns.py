"""docs/launch-patterns.md runs: its commands in their order, with a person at a browser in between."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from scripts.demo import configuration
from tests.servers.process import free_port, launch, leashed
from tests.servers.sekmet import start_sekmet
from tests.smart.person import Person

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs" / "launch-patterns.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@dataclass
class Shell:
    """One terminal: what was run before is run again quietly, so that its variables are there."""

    folder: Path
    environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, block: str) -> str:
        """What a block prints. The variables that it sets are kept for the next one."""
        mark = "--- variables ---"
        script = (
            f"set -e\n{block}\necho '{mark}'\nfor name in VERIFIER TOKEN REFRESH; do echo \"$name=${{!name}}\"; done\n"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**self.environment, **self.variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        printed, _, kept = done.stdout.partition(f"{mark}\n")
        self.variables |= dict(line.split("=", 1) for line in kept.splitlines() if not line.endswith("="))
        return printed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell() -> AsyncIterator[Shell]:
    for one in _shell():
        yield one


def _shell() -> Iterator[Shell]:
    folder = Path(tempfile.mkdtemp(prefix="patterns-"))
    (folder / ".run").mkdir()
    with start_sekmet() as upstream:
        port = free_port()
        text = configuration(upstream.base_url, port, folder / ".run")
        text = re.sub(r"metrics: .*", "metrics: {port: null}", text)
        subprocess.run(
            [sys.executable, "-m", "gateway", "development-key", str(folder / ".run" / "development-jwks.json")],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        config = folder / ".run" / "gateway.yaml"
        config.write_text(text, encoding="utf-8")
        root = f"http://127.0.0.1:{port}"
        command = leashed([sys.executable, "-m", "gateway", "serve", "--config", str(config)])
        with launch("gateway", command, root, ready_path="/readyz"):
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            yield Shell(folder, {**os.environ, "GATEWAY": root, "CONFIG": str(config), "PATH": path})


async def test_the_page_can_be_followed_from_top_to_bottom(shell: Shell) -> None:
    _, register, ask, exchange, use, why, ehr, doors, service, assertion = BLOCKS
    assert '"client_id": "my-app"' in shell.run(register)
    address = shell.run(ask).strip()
    person = Person(shell.environment["GATEWAY"])
    page = await person.sign_in(await person.go(address))
    page = await person.agree(await person.choose(page, "pat-a"))
    await person.aclose()
    shell.variables["CODE"] = page.parameters["code"]
    assert '"patient":"pat-a"' in shell.run(exchange)
    used = shell.run(use)
    assert '"resourceType":"Bundle"' in used
    assert '"refresh_token":"sgr_' in used
    told = shell.run(why)
    assert "search_by_id_only" in told
    assert "pat-a" in told
    assert '"location":"http://127.0.0.1:9999/launch?iss=' in shell.run(ehr)
    at_doors = shell.run(doors)
    assert "302" in at_doors
    assert '"launch-uri":"http://127.0.0.1:9999/launch"' in at_doors
    assert '"my-service"' in shell.run(service)
    granted = shell.run(assertion)
    assert '"expires_in":300' in granted
    assert '"scope":"system/Patient.rs"' in granted
