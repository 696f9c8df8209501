"""What a worker holds in memory: no library that only another command, a SMART server or a fetch needs."""

import subprocess
import sys

# Some are installed beside what we need, and are loaded by a library that finds them (rich: 4 MB in each worker).
UNNEEDED = {"argon2", "httpx2", "jinja2", "pygments", "redis", "rich"}

PROGRAM = """
import sys
import gateway.__main__, gateway.commands.serve
print(*sys.modules)
"""


def test_a_worker_beside_another_authorization_server_loads_nothing_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=60, text=True)
    loaded = set(done.stdout.split())
    assert "uvicorn" in loaded
    assert not loaded & UNNEEDED
