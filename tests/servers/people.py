"""The patients of every test server, and the marks that identify their data."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]
"""A FHIR resource or Bundle as plain JSON."""

PATIENT_A = "pat-a"
"""The patient whose app is tested."""

PATIENT_B = "pat-b"
"""The patient whose data that app must never see."""

PATIENTS = (PATIENT_A, PATIENT_B, *(f"pat-{number}" for number in range(3, 25)))

B_MARKER = "SECRET-OF-B"
"""Stands in every resource that is B's and that R4's compartments give to nobody but B: it must never reach A's app."""

SHARED_MARKER = "ABOUT-B-BY-A"
"""Stands in every resource about B in which A takes part: A's compartment holds it, the narrower `subject` does not."""

MARKER_SYSTEM = "urn:smart-fhir-gateway:marker"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
IDENTIFIER_SYSTEM = "urn:smart-fhir-gateway:identifier"
