"""The FHIR version that a server's CapabilityStatement states, and whether this gateway can judge its resources."""

import re
from enum import Enum
from typing import Any

_R4 = re.compile(r"4\.0(\.\d+)?(-[A-Za-z0-9.]+)?")
# R4B: 4.3.0, and 4.1.0, its first ballot. It changed no type of a patient's record, but added and removed others.
_R4B = re.compile(r"4\.[13](\.\d+)?(-[A-Za-z0-9.]+)?")
# Characters of a version that are shown. The longest published one has 24.
_MAX_SHOWN = 32


class FhirVersion(Enum):
    """What a statement's `fhirVersion` means for the gateway."""

    R4 = "R4"
    R4B = "R4B"
    UNSTATED = "unstated"
    OTHER = "other"


def read_fhir_version(statement: Any) -> tuple[FhirVersion, str]:
    """What the version of a CapabilityStatement (DSTU2: Conformance) means, and its text as far as it is printable."""
    stated = statement.get("fhirVersion") if isinstance(statement, dict) else None
    if stated is None:
        return FhirVersion.UNSTATED, ""
    if not isinstance(stated, str):
        return FhirVersion.OTHER, ""
    shown = "".join(character for character in stated[:_MAX_SHOWN] if character.isascii() and character.isprintable())
    if _R4.fullmatch(stated):
        return FhirVersion.R4, shown
    return (FhirVersion.R4B if _R4B.fullmatch(stated) else FhirVersion.OTHER), shown
