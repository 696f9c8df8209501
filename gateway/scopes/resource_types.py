"""The names of the concrete resource types of FHIR R4 (4.0.1), kept here because scopes name them first."""

from pathlib import Path

RESOURCE_TYPES = frozenset(Path(__file__).with_name("resource_types.txt").read_text(encoding="ascii").split())
