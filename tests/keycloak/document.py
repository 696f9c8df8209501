"""What docs/keycloak.md tells an operator to configure, read out of it as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

from gateway.settings.load import load_settings
from gateway.settings.model import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "keycloak.md"

KEYCLOAK, REALM, AUDIENCE = "https://login.example.org", "realms/clinic", "https://fhir.example.org/r4"
SECRET_FILE = "/run/secrets/keycloak"

_BLOCK = re.compile(r"^<!-- ([a-z-]+) -->\n```[a-z]+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
"""The text of each fenced block that has a name, by that name."""


def printed(name: str) -> Any:
    """A JSON block of the page."""
    return json.loads(BLOCKS[name])


def configured(name: str, folder: Path, *, issuer: str, secret: str) -> Settings:
    """A YAML block of the page, loaded as the gateway loads it; only host names and the secret's file are replaced."""
    secret_file = folder / f"{name}.secret"
    secret_file.write_text(secret, encoding="ascii")
    text = BLOCKS[name].replace(f"{KEYCLOAK}/{REALM}", issuer).replace(SECRET_FILE, str(secret_file))
    file = folder / f"{name}.yaml"
    # Plain http, on loopback only, is what development allows.
    file.write_text(f"development: true\n{text}", encoding="utf-8")
    return load_settings(file, {})
