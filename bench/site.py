"""Writes the folder that the upstream serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.bodies import (
    ENCOUNTER,
    GROWTH,
    LARGE_PAGE,
    OTHER_PATIENT,
    PAGE,
    PATIENT,
    Site,
    capability_statement,
    compact,
    escaped,
    export_manifest,
    page_link,
    pretty,
    searchset,
    with_absolute_references,
    with_narratives,
)
from bench.written_bodies import transaction_response, update_bodies, uploaded_binary


def write_site(root: Path, base: str) -> Site:
    """Write everything that is served, except the 200 MB, which are written when a row needs them.

    `base` is the URL that the gateway knows the server by, for the references that are absolute.
    """
    site = Site(root)
    page = searchset([PATIENT] * PAGE)
    files: dict[Path, dict[str, Any]] = {
        **{root / path.removeprefix("/"): json.loads(body) for path, body in update_bodies()},
        root / f"fhir/Encounter/{ENCOUNTER}": {
            "resourceType": "Encounter",
            "id": ENCOUNTER,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{PATIENT}"},
        },
        root / f"fhir/Patient/{PATIENT}": {"resourceType": "Patient", "id": PATIENT, "active": True},
        root / "fhir/metadata": capability_statement(),
        root / "fhir/jobs/1": export_manifest(base),
        site.bundle("uploaded"): uploaded_binary(),
        site.bundle("all"): page,
        site.bundle("transaction-response"): transaction_response(),
        site.bundle("absolute"): with_absolute_references(page, base),
        site.bundle("half"): searchset([PATIENT, OTHER_PATIENT] * (PAGE // 2)),
        site.bundle("large"): searchset([PATIENT] * LARGE_PAGE),
        site.bundle("first"): searchset([PATIENT], {"next": page_link(PAGE)}),
        site.bundle("second"): searchset([PATIENT] * PAGE, {"next": page_link(2 * PAGE), "previous": page_link(0)}),
        **{site.bundle(f"entries-{count}"): searchset([PATIENT] * count) for count in GROWTH},
    }
    texts = {path: compact(body) for path, body in files.items()}
    texts |= {site.bundle("pretty"): pretty(page), site.bundle("escaped"): escaped(with_narratives(page))}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return site
