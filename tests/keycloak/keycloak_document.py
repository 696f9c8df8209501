"""Reads the configuration blocks of docs/keycloak.md."""

import json
import re
from pathlib import Path
from typing import Any

from gateway.settings.loading.load import load_settings
from gateway.settings.model import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "keycloak.md"

KEYCLOAK, REALM, AUDIENCE = "https://login.example.org", "realms/clinic", "https://fhir.example.org/r4"
SECRET_FILE = "/run/secrets/keycloak"

_BLOCK = re.compile(r"^<!-- ([a-z-]+) -->\n```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
"""The text of each named code block, by name."""


def read_json_block(name: str) -> Any:
    """A JSON block of the page."""
    return json.loads(BLOCKS[name])


def load_documented_settings(name: str, folder: Path, *, issuer: str, secret: str) -> Settings:
    """A YAML block of the page as settings. Only host names and the file of the secret are replaced."""
    secret_file = folder / f"{name}.secret"
    secret_file.write_text(secret, encoding="ascii")
    text = BLOCKS[name].replace(f"{KEYCLOAK}/{REALM}", issuer).replace(SECRET_FILE, str(secret_file))
    file = folder / f"{name}.yaml"
    # development: true allows http on loopback.
    file.write_text(f"development: true\n{text}", encoding="utf-8")
    return load_settings(file, {})
