"""Configurations for these tests: the least that is valid, and the problems of any other."""

from collections.abc import Mapping
from pathlib import Path

from gateway.settings.loading.load import SettingsError, load_settings
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


HTTPS = "must start with https:// (http:// is for loopback under development: true)"
ALGORITHMS = "must be 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384' or 'ES512'"


def load(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = directory / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {})


def problems(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The problems of a configuration, without the directory in their places; none if it is valid."""
    try:
        load(directory, text, environ)
    except SettingsError as error:
        return [str(problem).replace(f"{directory}/", "") for problem in error.problems]
    return []


def in_file(problem: str) -> str:
    """A problem such as `8: listen.port: ...` as it is reported; the line 0 stands for the whole file."""
    line, _, sentence = problem.partition(":")
    return f"gateway.yaml:{line}:{sentence}" if line != "0" else f"gateway.yaml:{sentence}"
