"""Which FHIR versions of a CapabilityStatement are R4, which are near to it, and which are not."""

from typing import Any

import pytest

from gateway.fhir.resources.fhir_version import FhirVersion, read_fhir_version

STATED: list[tuple[Any, FhirVersion, str]] = [
    ("4.0.1", FhirVersion.R4, "4.0.1"),
    ("4.0", FhirVersion.R4, "4.0"),
    ("4.0.0-a53ec6ee1b", FhirVersion.R4, "4.0.0-a53ec6ee1b"),
    ("4.3.0", FhirVersion.R4B, "4.3.0"),
    ("4.1.0", FhirVersion.R4B, "4.1.0"),
    (None, FhirVersion.UNSTATED, ""),
    ("4.2.0", FhirVersion.OTHER, "4.2.0"),
    ("4.4.0", FhirVersion.OTHER, "4.4.0"),
    ("4.30", FhirVersion.OTHER, "4.30"),
    ("40.0", FhirVersion.OTHER, "40.0"),
    ("4.0.1\n", FhirVersion.OTHER, "4.0.1"),
    ("", FhirVersion.OTHER, ""),
    (4.0, FhirVersion.OTHER, ""),
    ("5.0.0" + "x" * 100, FhirVersion.OTHER, "5.0.0" + "x" * 27),
]


@pytest.mark.parametrize(("stated", "version", "shown"), STATED)
def test_a_stated_version_means(stated: Any, version: FhirVersion, shown: str) -> None:
    assert read_fhir_version({"fhirVersion": stated}) == (version, shown)


@pytest.mark.parametrize("statement", [{}, [], "x", None])
def test_what_is_no_statement_states_nothing(statement: Any) -> None:
    assert read_fhir_version(statement) == (FhirVersion.UNSTATED, "")
