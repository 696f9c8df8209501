"""Hostile responses to searches, histories, operations and exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.hostile.documents import (
    bundle_response,
    entries_of,
    honest_response,
    manifest,
    matches_of_a,
    matches_of_b,
    mixed_document,
)
from tests.servers.hostile.messages import FhirRequest, HostileResponse, RequestKind, json_response
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.world import HOSTILE_B, a_resource, b_resource, entry, outcome, owner_key
from tests.servers.people import B_MARKER, Resource

_EVIL = (
    "http://evil.example/fhir/Observation?page=2",
    "//evil.example/fhir?page=2",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "{scheme}://user:password@{host}/{mode}/fhir?page=2",
    "{base}@evil.example/fhir?page=2",
    "{base}/../../only-b/fhir/Observation",
    "{base}.evil.example/Observation",
    "{base}/Observation\r\nSet-Cookie: a=b",
    "\\\\evil.example\\fhir",
    "https://{host}/{mode}/fhir?page=2",
    "",
)


def _ignores_everything(request: FhirRequest) -> HostileResponse | None:
    return json_response(mixed_document(request))


def _only_b(request: FhirRequest) -> HostileResponse | None:
    return bundle_response(request, entries_of(request, [b_resource("Patient"), *matches_of_b(request.type)]))


def _includes_of_b(request: FhirRequest) -> HostileResponse | None:
    included = [
        b_resource("Patient"),
        b_resource("Encounter"),
        b_resource("Provenance"),
        b_resource(request.type),
    ]
    results = entries_of(request, matches_of_a(request.type))
    return bundle_response(request, [*results, *(entry(resource, request.base, "include") for resource in included)])


def _no_search_mode(request: FhirRequest) -> HostileResponse | None:
    base = request.base
    bare = [{"resource": resource, "fullUrl": f"{base}/x"} for resource in matches_of_b(request.type)]
    return bundle_response(request, [*entries_of(request, matches_of_a(request.type)), *bare])


def _with_mode(mode: str) -> Callable[[FhirRequest], HostileResponse | None]:
    def response(request: FhirRequest) -> HostileResponse | None:
        results = [
            entry(resource, request.base, mode) for resource in (b_resource("Patient"), *matches_of_b(request.type))
        ]
        return bundle_response(request, [*entries_of(request, matches_of_a(request.type)), *results])

    return response


def _wrong_type(request: FhirRequest) -> HostileResponse | None:
    kinds = ("Patient", "Condition", "Encounter", "Account", "Basic", "NoSuchType")
    return bundle_response(request, entries_of(request, [b_resource(kind) for kind in kinds if kind != request.type]))


def contained_b(request: FhirRequest) -> Resource:
    """A's resource, with B's Patient and Observation inside."""
    inner = [{**b_resource("Patient"), "id": "p"}, {**b_resource("Observation"), "id": "o"}]
    return {**a_resource(request.type, request.id), "contained": inner}


def _contained_b(request: FhirRequest) -> HostileResponse | None:
    if request.kind is RequestKind.READ:
        return json_response(contained_b(request))
    return bundle_response(request, entries_of(request, [contained_b(request)]))


def _bundle_in_bundle(request: FhirRequest) -> HostileResponse | None:
    inner = {"resourceType": "Bundle", "id": "a-bundle", "type": "collection", "entry": [{"resource": b_resource()}]}
    parameters = {
        "resourceType": "Parameters",
        "id": "a-parameters",
        "parameter": [
            {"name": "return", "resource": b_resource("Patient")},
            {"name": "x", "part": [{"resource": inner}]},
        ],
    }
    deep = {**inner, "entry": [{"resource": {**inner, "entry": [{"resource": parameters}]}}]}
    if request.kind is RequestKind.READ:
        return json_response(deep)
    return bundle_response(request, entries_of(request, [*matches_of_a(request.type), inner, parameters, deep]))


def _hidden_in_bundle(request: FhirRequest) -> HostileResponse | None:
    b = b_resource(request.type)
    extension = [{"url": "urn:x", "valueReference": {"reference": f"Patient/{HOSTILE_B}", "display": B_MARKER}}]
    first, *rest = entries_of(request, matches_of_a(request.type))
    hidden = {
        **first,
        "extension": extension,
        "_fullUrl": {"extension": extension},
        "link": [{"relation": B_MARKER, "url": f"{request.base}/Patient/{HOSTILE_B}"}],
        "request": {"method": "GET", "url": f"Patient/{HOSTILE_B}", "ifNoneExist": B_MARKER},
        "response": {"status": B_MARKER, "location": f"Patient/{HOSTILE_B}", "outcome": b},
        "search": {**first.get("search", {"mode": "match"}), "score": 1, "extension": extension},
        "other": b,
    }
    return bundle_response(
        request,
        [hidden, *rest],
        id=HOSTILE_B,
        meta={"tag": [{"code": B_MARKER}]},
        identifier={"value": B_MARKER},
        signature={"data": "U0VDUkVULU9GLUI=", "who": {"display": B_MARKER}},
        text={"status": "generated", "div": f"<div>{B_MARKER}</div>"},
        contained=[b],
        extension=extension,
        _entry=[{"extension": extension}],
        Entry=[{"resource": b}],
        issues=outcome(B_MARKER),
    )


def _entry_of_no_resource(request: FhirRequest) -> HostileResponse | None:
    strange: list[Any] = [
        None,
        [],
        "x",
        7,
        {"resource": [b_resource()]},
        {"resource": B_MARKER},
        {"resource": None},
        {},
    ]
    return bundle_response(request, [*entries_of(request, matches_of_a(request.type)), *strange])


def _stripped_subject(request: FhirRequest) -> HostileResponse | None:
    key = owner_key(request.type)
    stripped = [{name: value for name, value in b.items() if name != key} for b in matches_of_b(request.type)]
    if request.kind is RequestKind.READ:
        return json_response(stripped[0])
    return bundle_response(request, entries_of(request, stripped))


def _history_of_b(request: FhirRequest) -> HostileResponse | None:
    old = b_resource(request.type, request.id)
    if request.kind is RequestKind.READ and "/_history/" in request.target:
        return json_response(old)
    if request.kind is not RequestKind.HISTORY:
        return None
    deleted = {
        "fullUrl": f"{request.base}/Patient/{HOSTILE_B}",
        "request": {"method": "DELETE", "url": f"Patient/{HOSTILE_B}"},
        "response": {"status": "204"},
    }
    return bundle_response(request, [*entries_of(request, [a_resource(request.type, request.id), old]), deleted])


def _pages_of_b(request: FhirRequest) -> HostileResponse | None:
    parameters = parse_qs(urlsplit(request.target).query)
    page = int(parameters.get("_getpagesoffset", ["0"])[0] or 0)
    link = [
        {"relation": name, "url": f"{request.base}?_getpages=handle&_getpagesoffset={page + 2}&_count=2"}
        for name in ("next", "last", "previous", "first")
    ]
    results = matches_of_b(request.type) if "_getpages" in parameters else matches_of_a(request.type)
    return bundle_response(request, entries_of(request, results), link=link)


def evil_urls(request: FhirRequest) -> list[str]:
    """Addresses that no client should ever be sent to."""
    scheme, _, rest = request.base.partition("://")
    host = rest.partition("/")[0]
    return [url.format(base=request.base, scheme=scheme, host=host, mode=request.mode) for url in _EVIL]


def _evil_links(request: FhirRequest) -> HostileResponse | None:
    urls = evil_urls(request)
    index = len(request.target) % len(urls)
    link = [{"relation": "self", "url": urls[0]}, *({"relation": "next", "url": url} for url in urls)]
    results = entries_of(request, [a_resource(request.type, f"a-{number}") for number in range(len(urls))])
    entries = [{**item, "fullUrl": url} for item, url in zip(results, urls, strict=True)]
    if request.kind is RequestKind.WRITE:
        headers = [(name, urls[0]) for name in ("Location", "Content-Location")]
        return json_response(a_resource(request.type, request.id), 201, *headers)
    return bundle_response(request, entries, link=[*link, {"relation": "last", "url": urls[index]}])


def _wrong_total(request: FhirRequest) -> HostileResponse | None:
    total = 1000 + len(request.target)
    return bundle_response(request, entries_of(request, matches_of_a(request.type)), total=total)


def _total_of_no_number(request: FhirRequest) -> HostileResponse | None:
    return bundle_response(request, entries_of(request, matches_of_a(request.type)), total=f"{B_MARKER} has 7")


def _outcome_in_bundle(request: FhirRequest) -> HostileResponse | None:
    recorded = entry(outcome(f"Patient/{HOSTILE_B} has 7 more"), request.base, "outcome")
    return bundle_response(request, [*entries_of(request, matches_of_a(request.type)), recorded])


def _another_bundle_type(request: FhirRequest) -> HostileResponse | None:
    kind = ("document", "collection", "message", "transaction-response")[len(request.target) % 4]
    return bundle_response(request, entries_of(request, matches_of_b(request.type)), type=kind)


def _not_a_bundle(request: FhirRequest) -> HostileResponse | None:
    return json_response(b_resource(request.type)) if bundle_response(request, []) else None


def _ndjson_of_b(request: FhirRequest) -> HostileResponse | None:
    if request.kind is not RequestKind.FILE:
        return None
    if not request.target.partition("?")[0].endswith(".ndjson"):
        good = f"{request.base}/bulk/1/Observation.ndjson"
        return json_response(manifest(request, [good, *evil_urls(request)]) | {"extension": {"patient": HOSTILE_B}})
    lines = [
        json.dumps(resource)
        for resource in (
            a_resource(),
            b_resource(),
            a_resource("Observation", "a-2"),
            b_resource("Patient"),
        )
    ]
    return HostileResponse("\n".join([*lines, json.dumps(b_resource())[:-9]]).encode(), 200, "application/fhir+ndjson")


def _write_echoes_b(request: FhirRequest) -> HostileResponse | None:
    if request.kind is not RequestKind.WRITE:
        return None
    b = b_resource(request.type)
    location = f"{request.base}/{request.type}/{b['id']}/_history/1"
    return json_response(b, 201, ("Location", location), ("Content-Location", location), ("ETag", f'W/"{B_MARKER}"'))


def _batch_of_b(request: FhirRequest) -> HostileResponse | None:
    if request.kind is not RequestKind.BATCH:
        return None
    document = json.loads(honest_response(request).body)
    b = [b_resource("Patient"), b_resource()]
    location = f"{request.base}/Patient/{HOSTILE_B}"
    more = [{"resource": item, "response": {"status": "200", "location": location, "outcome": item}} for item in b]
    return json_response({**document, "entry": [*more, *reversed(document["entry"]), *more]})


RESPONSES: dict[Mode, Callable[[FhirRequest], HostileResponse | None]] = {
    Mode.IGNORES_EVERYTHING: _ignores_everything,
    Mode.ONLY_B: _only_b,
    Mode.INCLUDES_OF_B: _includes_of_b,
    Mode.NO_SEARCH_MODE: _no_search_mode,
    Mode.UNKNOWN_SEARCH_MODE: _with_mode("Match"),
    Mode.MATCH_AS_OUTCOME: _with_mode("outcome"),
    Mode.WRONG_TYPE: _wrong_type,
    Mode.CONTAINED_B: _contained_b,
    Mode.BUNDLE_IN_BUNDLE: _bundle_in_bundle,
    Mode.HIDDEN_IN_BUNDLE: _hidden_in_bundle,
    Mode.ENTRY_OF_NO_RESOURCE: _entry_of_no_resource,
    Mode.STRIPPED_SUBJECT: _stripped_subject,
    Mode.HISTORY_OF_B: _history_of_b,
    Mode.PAGES_OF_B: _pages_of_b,
    Mode.EVIL_LINKS: _evil_links,
    Mode.WRONG_TOTAL: _wrong_total,
    Mode.TOTAL_OF_NO_NUMBER: _total_of_no_number,
    Mode.OUTCOME_IN_BUNDLE: _outcome_in_bundle,
    Mode.ANOTHER_BUNDLE_TYPE: _another_bundle_type,
    Mode.NOT_A_BUNDLE: _not_a_bundle,
    Mode.NDJSON_OF_B: _ndjson_of_b,
    Mode.WRITE_ECHOES_B: _write_echoes_b,
    Mode.BATCH_OF_B: _batch_of_b,
}
