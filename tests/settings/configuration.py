"""Configurations for these tests: the least that is valid, and what is said about any other."""

from collections.abc import Mapping
from pathlib import Path

from gateway.settings.load import SettingsError, load_settings
from gateway.settings.model import Settings

LEAST = """\
public_base_url: https://fhir.example.org/r4
upstream:
  base_url: http://fhir.internal:8080/fhir
issuers:
  - issuer: https://login.example.org
    audiences: [https://fhir.example.org/r4]
    jwks_url: https://login.example.org/jwks
"""


def load(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = directory / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {})


def problems(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is said, the directory left out of it; nothing where the configuration is valid."""
    try:
        load(directory, text, environ)
    except SettingsError as error:
        return [str(problem).replace(f"{directory}/", "") for problem in error.problems]
    return []
