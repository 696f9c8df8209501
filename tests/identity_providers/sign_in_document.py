"""The code blocks of docs/sign-in.md."""

import json
import re
from pathlib import Path
from typing import Any

from gateway.settings.loading.load import load_settings
from gateway.settings.model import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sign-in.md"
_BLOCK = re.compile(r"^<!-- ([a-z-]+) -->\n```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
"""The text of each named fenced block, by name."""

_SECRET_FILE = re.compile(r"/run/secrets/[a-z]+")


def printed(name: str) -> Any:
    """A JSON block of the document."""
    return json.loads(BLOCKS[name])


def configured(name: str, folder: Path, *, secret: str = "secret") -> Settings:
    """A YAML block of the document, loaded as settings. Only the path of the secret is replaced."""
    secret_file = folder / f"{name}.secret"
    secret_file.write_text(secret, encoding="utf-8")
    file = folder / f"{name}.yaml"
    file.write_text(_SECRET_FILE.sub(str(secret_file), BLOCKS[name]), encoding="utf-8")
    return load_settings(file, {})
