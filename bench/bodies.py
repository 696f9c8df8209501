"""The FHIR JSON that the upstream serves: one small read, Bundles of several sizes, and 200 MB to be streamed."""

from __future__ import annotations

import json
import re
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
PRETTY = f"/fhir/Observation?code=pretty&_count={PAGE}"
ESCAPED = f"/fhir/Observation?code=escaped&_count={PAGE}"
ABSOLUTE = f"/fhir/Observation?code=absolute&_count={PAGE}"
LARGE_BUNDLE = f"/fhir/Observation?code=large&_count={LARGE_PAGE}"
FIRST_PAGE = f"/fhir/Observation?code=first&_count={PAGE}"
SECOND_PAGE = f"/fhir/Observation?code=second&_count={PAGE}"
BASE = "/fhir"
OBSERVATIONS = "/fhir/Observation"
ENCOUNTER = "e-1"
RECORDS = 32
"""How many records are updated in turn: the gateway carries out one write at a time for each of them."""
BUNDLED = 50
"""The entries of a batch or transaction."""
BINARY = "/fhir/Binary/large"
BINARIES = "/fhir/Binary"
UPLOADED_BYTES = 64_000_000
EXPORT = "/fhir/Binary/export"
EXPORT_BYTES = 500_000_000

_SERVER = "http://upstream.invalid/fhir"
GROWTH = (500, 5000)
_NARRATIVE = (
    '<div xmlns="http://www.w3.org/1999/xhtml"><b>Größe &amp; Gewicht</b> der Patientin: 181 cm &lt; 190 cm</div>'
)
_HTML_LETTER = re.compile("[<>&']")


def bundle_of(entries: int) -> str:
    """The search whose page has that many entries, 500 or 5000."""
    return f"/fhir/Observation?code=entries-{entries}&_count={entries}"


@dataclass(frozen=True, slots=True)
class Site:
    """The folder that nginx serves. A search is recognised by `code` in its query, whatever a gateway adds to it."""

    root: Path

    @property
    def read(self) -> Path:
        return self.root / "fhir/Observation/obs-1"

    def bundle(self, name: str) -> Path:
        return self.root / "bundles" / name

    @property
    def binary(self) -> Path:
        return self.root / "fhir/Binary/large"

    @property
    def export(self) -> Path:
        return self.root / "fhir/Binary/export"


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
        "encounter": {"reference": f"Encounter/{ENCOUNTER}"},
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
    self_link = {"self": f"{_SERVER}/Observation?code=all&_count={len(patients)}"}
    return {
        "resourceType": "Bundle",
        "id": "page-1",
        "type": "searchset",
        "total": len(patients),
        "link": [{"relation": relation, "url": url} for relation, url in (self_link | (links or {})).items()],
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
    """A paging link as HAPI writes it: at the base, with a handle of the search.

    The upstream serves the second page for all of them, because the load follows no further.
    """
    return f"{_SERVER}?_getpages=9c1f7e52-3a44-4f0e-8f0b-6a1d2b3c4d5e&_getpagesoffset={offset}&_count={PAGE}"


def capability_statement() -> dict[str, Any]:
    """The CapabilityStatement, which a gateway may read at start."""
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
        "implementation": {"description": "a FHIR server that names itself otherwise", "url": _SERVER},
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


def write_binary(site: Site) -> None:
    """200 MB of NDJSON, made once and kept."""
    _write_lines(site.binary, LARGE_BYTES, analytes=9)


def write_export(site: Site) -> None:
    """500 MB of NDJSON, made once and kept."""
    _write_lines(site.export, EXPORT_BYTES, analytes=2)


def _write_lines(path: Path, size: int, *, analytes: int) -> None:
    if path.exists() and path.stat().st_size >= size:
        return
    chunk = b"".join(compact(observation(f"obs-{at}", PATIENT, analytes)) + b"\n" for at in range(300))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(chunk)


def export_manifest(base: str) -> dict[str, Any]:
    """The manifest of a complete export with one file, `EXPORT`."""
    output = [{"type": "Observation", "url": f"{base}{EXPORT.removeprefix('/fhir')}"}]
    return {
        "transactionTime": "2026-02-03T04:05:06.789Z",
        "request": f"{base}/$export",
        "requiresAccessToken": False,
        "output": output,
        "error": [],
    }


def compact(body: dict[str, Any]) -> bytes:
    """JSON without spaces, as FHIR servers send it unless `_pretty` is requested."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def pretty(body: dict[str, Any]) -> bytes:
    """JSON with a line for each member, as some FHIR servers send it to everybody."""
    return json.dumps(body, indent=2, ensure_ascii=False).encode()


def escaped(body: dict[str, Any]) -> bytes:
    """JSON in ASCII, and without a letter of HTML, as the encoders of .NET and Go write it."""
    text = json.dumps(body, separators=(",", ":"))
    return _HTML_LETTER.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text).encode()


def with_narratives(page: dict[str, Any]) -> dict[str, Any]:
    """The page with a narrative in each resource."""
    text = {"text": {"status": "generated", "div": _NARRATIVE}}
    return page | {"entry": [{**entry, "resource": entry["resource"] | text} for entry in page["entry"]]}


def with_absolute_references(page: dict[str, Any], base: str) -> dict[str, Any]:
    """The page with every reference absolute, as servers with several tenants or versions write them."""
    text = json.dumps(page).replace('"reference": "', f'"reference": "{base}/')
    absolute: dict[str, Any] = json.loads(text)
    return absolute
