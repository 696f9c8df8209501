"""A worker does not load libraries that only another command, the SMART server or a download needs."""

import subprocess
import sys

# Some are optional, and other libraries load them if they are installed (rich: 4 MB in each worker).
UNNEEDED = {"argon2", "httpx2", "jinja2", "pygments", "redis", "rich"}

PROGRAM = """
import sys
import gateway.__main__, gateway.commands.serving.serve
print(*sys.modules)
"""


def test_a_worker_beside_another_authorization_server_loads_nothing_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=60, text=True)
    loaded = set(done.stdout.split())
    assert "uvicorn" in loaded
    assert not loaded & UNNEEDED
