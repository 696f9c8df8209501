"""The FHIR JSON that the upstream serves: one small read, Bundles of several sizes, and 200 MB to be streamed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENT = "a"
OTHER_PATIENT = "b"
PAGE = 20
LARGE_PAGE = 700
LARGE_BYTES = 200_000_000

READ = "/fhir/Observation/obs-1"
BUNDLE = f"/fhir/Observation?code=all&_count={PAGE}"
HALF = f"/fhir/Observation?code=half&_count={PAGE}"
LARGE_BUNDLE = f"/fhir/Observation?code=large&_count={LARGE_PAGE}"
FIRST_PAGE = f"/fhir/Observation?code=first&_count={PAGE}"
SECOND_PAGE = f"/fhir/Observation?code=second&_count={PAGE}"
BINARY = "/fhir/Binary/large"

_SERVER = "http://upstream.invalid/fhir"
_GROWTH = (500, 5000)


def bundle_of(entries: int) -> str:
    """The search whose page has that many entries, 500 or 5000."""
    return f"/fhir/Observation?code=entries-{entries}&_count={entries}"


@dataclass(frozen=True, slots=True)
class Site:
    """The folder that nginx serves; a search is told by `code` in its query, whatever else a gateway adds to it."""

    root: Path

    @property
    def read(self) -> Path:
        return self.root / "fhir/Observation/obs-1"

    def bundle(self, name: str) -> Path:
        return self.root / "bundles" / name

    @property
    def binary(self) -> Path:
        return self.root / "fhir/Binary/large"


def observation(name: str, patient: str, analytes: int) -> dict[str, Any]:
    """A laboratory panel: each analyte adds about 215 bytes."""
    return {
        "resourceType": "Observation",
        "id": name,
        "meta": {"versionId": "1", "lastUpdated": "2026-02-03T04:05:06.789Z", "source": "#bench"},
        "status": "final",
        "category": [{"coding": [_coding("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")]}],
        "code": {"coding": [_coding("http://loinc.org", "24323-8")], "text": "Comprehensive metabolic panel"},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": "Encounter/e-1"},
        "effectiveDateTime": "2026-02-03T03:00:00+00:00",
        "issued": "2026-02-03T04:05:06.789+00:00",
        "performer": [{"reference": "Practitioner/p-1"}, {"reference": "Organization/o-1"}],
        "component": [
            {
                "code": {"coding": [_coding("http://loinc.org", f"{2000 + at}-3")], "text": f"Analyte {at}"},
                "valueQuantity": {
                    "value": round(3.7 + at * 1.3, 1),
                    "unit": "mmol/L",
                    "system": "http://unitsofmeasure.org",
                    "code": "mmol/L",
                },
            }
            for at in range(analytes)
        ],
    }


def _coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": f"Name of {code}"}


def searchset(patients: list[str], links: dict[str, str] | None = None) -> dict[str, Any]:
    """A page of matches, one Observation of about 3 KB for each patient named; `links` are the pages around it."""
    own = {"self": f"{_SERVER}/Observation?_count={len(patients)}"}
    return {
        "resourceType": "Bundle",
        "id": "page-1",
        "type": "searchset",
        "total": len(patients),
        "link": [{"relation": relation, "url": url} for relation, url in (own | (links or {})).items()],
        "entry": [
            {
                "fullUrl": f"{_SERVER}/Observation/obs-{at}",
                "resource": observation(f"obs-{at}", patient, 10),
                "search": {"mode": "match"},
            }
            for at, patient in enumerate(patients)
        ],
    }


def page_link(offset: int) -> str:
    """A paging link as HAPI writes it: at the base, the search told by a handle.

    The upstream serves the second page for all of them: the load follows no further.
    """
    return f"{_SERVER}?_getpages=9c1f7e52-3a44-4f0e-8f0b-6a1d2b3c4d5e&_getpagesoffset={offset}&_count={PAGE}"


def capability_statement() -> dict[str, Any]:
    """What a gateway may ask for when it starts."""
    parameters = [
        {"name": "patient", "type": "reference"},
        {"name": "subject", "type": "reference"},
        {"name": "code", "type": "token"},
        {"name": "category", "type": "token"},
        {"name": "_id", "type": "token"},
    ]
    interactions = [{"code": "read"}, {"code": "search-type"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-02-03",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {"type": name, "interaction": interactions, "searchParam": parameters}
                    for name in ("Patient", "Observation", "Binary")
                ],
            }
        ],
    }


def write_site(root: Path) -> Site:
    """Write what is served, except the 200 MB, which are made when a row needs them."""
    site = Site(root)
    files: dict[Path, dict[str, Any]] = {
        site.read: observation("obs-1", PATIENT, 6),
        root / f"fhir/Patient/{PATIENT}": {"resourceType": "Patient", "id": PATIENT, "active": True},
        root / "fhir/metadata": capability_statement(),
        site.bundle("all"): searchset([PATIENT] * PAGE),
        site.bundle("half"): searchset([PATIENT, OTHER_PATIENT] * (PAGE // 2)),
        site.bundle("large"): searchset([PATIENT] * LARGE_PAGE),
        site.bundle("first"): searchset([PATIENT], {"next": page_link(PAGE)}),
        site.bundle("second"): searchset([PATIENT] * PAGE, {"next": page_link(2 * PAGE), "previous": page_link(0)}),
        **{site.bundle(f"entries-{count}"): searchset([PATIENT] * count) for count in _GROWTH},
    }
    for path, body in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compact(body))
    return site


def write_binary(site: Site) -> None:
    """200 MB of NDJSON, made once and kept."""
    if site.binary.exists() and site.binary.stat().st_size >= LARGE_BYTES:
        return
    chunk = b"".join(compact(observation(f"obs-{at}", PATIENT, 9)) + b"\n" for at in range(300))
    site.binary.parent.mkdir(parents=True, exist_ok=True)
    with site.binary.open("wb") as file:
        while file.tell() < LARGE_BYTES:
            file.write(chunk)


def compact(body: dict[str, Any]) -> bytes:
    """JSON without spaces, as FHIR servers send it when nobody asks for `_pretty`."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
