"""The scripts of the clients in Python, each run by the Python of the environment that has its library."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


async def run_script(python: str, script: str, message: dict[str, Any]) -> Any:
    """What a script of this folder prints as JSON when it is told a message as JSON."""
    process = await asyncio.create_subprocess_exec(
        python, str(_HERE / script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate(json.dumps(message).encode())
    assert process.returncode == 0, f"{script} ended with {process.returncode}:\n{errors.decode()[-4000:]}"
    return json.loads(output)
