"""A bundle of user-access brands that may be published, for tests to spoil."""

from typing import Any

BASE = "https://gateway.example/fhir"
_EXTENSIONS = "http://hl7.org/fhir/StructureDefinition/"


def _organization(name: str, **members: Any) -> dict[str, Any]:
    website = f"https://{name}.example"
    return {
        "resourceType": "Organization", "id": name, "name": name.title(), "active": True,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": website}],
        "telecom": [{"system": "url", "value": website}],
        "type": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/organization-type", "code": "prov"}]}],
        **members,
    }  # fmt: skip


def brand_bundle(base: str = BASE) -> dict[str, Any]:
    """A hospital with a portal and an Endpoint, and a clinic that is part of it."""
    portal = {
        "url": f"{_EXTENSIONS}organization-portal",
        "extension": [
            {"url": "portalName", "valueString": "My Hospital"},
            {"url": "portalEndpoint", "valueReference": {"reference": "Endpoint/r4"}},
        ],
    }
    endpoint = {
        "resourceType": "Endpoint", "id": "r4", "status": "active", "address": base,
        "extension": [{"url": f"{_EXTENSIONS}endpoint-fhir-version", "valueCode": "4.0.1"}],
        "connectionType": {"code": "hl7-fhir-rest"},
        "contact": [{"system": "url", "value": "https://developers.example"}],
        "payloadType": [{"coding": [{"code": "none"}]}],
    }  # fmt: skip
    hospital = _organization("hospital", extension=[portal], endpoint=[{"reference": "Endpoint/r4"}])
    clinic = _organization("clinic", partOf={"reference": "Organization/hospital"})
    return {
        "resourceType": "Bundle", "type": "collection", "timestamp": "2026-01-31T10:00:00Z",
        "entry": [{"resource": resource} for resource in (hospital, clinic, endpoint)],
    }  # fmt: skip
