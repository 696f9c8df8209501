"""The bodies that are sent in writes, batches and transactions, and what the upstream answers to them."""

from __future__ import annotations

from typing import Any

from bench.bodies import BASE, BUNDLED, OBSERVATIONS, PATIENT, RECORDS, compact, observation


def update_bodies() -> list[tuple[str, str]]:
    """The path and the body of every record that is updated; the first is `READ`."""
    names = [f"obs-{number}" for number in range(1, RECORDS + 1)]
    return [(f"{OBSERVATIONS}/{name}", compact(observation(name, PATIENT, 6)).decode()) for name in names]


def create_bodies() -> list[tuple[str, str]]:
    """The path and the body of a record that is created."""
    body = observation("", PATIENT, 6)
    del body["id"], body["meta"]
    return [(OBSERVATIONS, compact(body).decode())]


def batch_bodies() -> list[tuple[str, str]]:
    """The path and the body of a batch that reads `BUNDLED` records."""
    reads = [f"Observation/obs-{1 + at % RECORDS}" for at in range(BUNDLED)]
    entries = [{"request": {"method": "GET", "url": url}} for url in reads]
    return [(BASE, compact({"resourceType": "Bundle", "type": "batch", "entry": entries}).decode())]


def transaction_bodies() -> list[tuple[str, str]]:
    """The path and the body of a transaction that creates `BUNDLED` records of 2 KB."""
    body = observation("", PATIENT, 6)
    del body["id"], body["meta"]
    entries = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{at:012}",
            "resource": body,
            "request": {"method": "POST", "url": "Observation"},
        }
        for at in range(BUNDLED)
    ]
    return [(BASE, compact({"resourceType": "Bundle", "type": "transaction", "entry": entries}).decode())]


def transaction_response() -> dict[str, Any]:
    """What the upstream answers to the transaction, whatever it is sent."""
    entries = [
        {
            "resource": observation(f"new-{at}", PATIENT, 6),
            "response": {
                "status": "201 Created",
                "location": f"Observation/new-{at}/_history/1",
                "etag": 'W/"1"',
                "lastModified": "2026-02-03T04:05:06.789Z",
            },
        }
        for at in range(BUNDLED)
    ]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def uploaded_binary() -> dict[str, Any]:
    """What the upstream answers to an upload, without the content."""
    owner = {"reference": f"Patient/{PATIENT}"}
    meta = {"versionId": "1", "lastUpdated": "2026-02-03T04:05:06.789Z"}
    return {
        "resourceType": "Binary",
        "id": "uploaded",
        "meta": meta,
        "contentType": "application/pdf",
        "securityContext": owner,
    }
