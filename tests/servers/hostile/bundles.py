"""Hostile answers to searches, histories, operations and exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers.hostile.documents import entries_of, honest, manifest, matches, matches_of_b, mixed, with_entries
from tests.servers.hostile.modes import Mode
from tests.servers.hostile.question import Answer, Kind, Question, as_json
from tests.servers.hostile.world import HOSTILE_B, entry, of_a, of_b, outcome, owner_key
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


def _ignores_everything(question: Question) -> Answer | None:
    return as_json(mixed(question))


def _only_b(question: Question) -> Answer | None:
    return with_entries(question, entries_of(question, [of_b("Patient"), *matches_of_b(question.type)]))


def _includes_of_b(question: Question) -> Answer | None:
    included = [of_b("Patient"), of_b("Encounter"), of_b("Provenance"), of_b(question.type)]
    found = entries_of(question, matches(question.type))
    return with_entries(question, [*found, *(entry(resource, question.base, "include") for resource in included)])


def _no_search_mode(question: Question) -> Answer | None:
    base = question.base
    bare = [{"resource": resource, "fullUrl": f"{base}/x"} for resource in matches_of_b(question.type)]
    return with_entries(question, [*entries_of(question, matches(question.type)), *bare])


def _with_mode(mode: str) -> Callable[[Question], Answer | None]:
    def answer(question: Question) -> Answer | None:
        found = [entry(resource, question.base, mode) for resource in (of_b("Patient"), *matches_of_b(question.type))]
        return with_entries(question, [*entries_of(question, matches(question.type)), *found])

    return answer


def _wrong_type(question: Question) -> Answer | None:
    kinds = ("Patient", "Condition", "Encounter", "Account", "Basic", "NoSuchType")
    return with_entries(question, entries_of(question, [of_b(kind) for kind in kinds if kind != question.type]))


def contained_b(question: Question) -> Resource:
    """A's resource, with B's Patient and Observation inside."""
    inner = [{**of_b("Patient"), "id": "p"}, {**of_b("Observation"), "id": "o"}]
    return {**of_a(question.type, question.id), "contained": inner}


def _contained_b(question: Question) -> Answer | None:
    if question.kind is Kind.READ:
        return as_json(contained_b(question))
    return with_entries(question, entries_of(question, [contained_b(question)]))


def _bundle_in_bundle(question: Question) -> Answer | None:
    inner = {"resourceType": "Bundle", "id": "a-bundle", "type": "collection", "entry": [{"resource": of_b()}]}
    parameters = {
        "resourceType": "Parameters",
        "id": "a-parameters",
        "parameter": [{"name": "return", "resource": of_b("Patient")}, {"name": "x", "part": [{"resource": inner}]}],
    }
    deep = {**inner, "entry": [{"resource": {**inner, "entry": [{"resource": parameters}]}}]}
    if question.kind is Kind.READ:
        return as_json(deep)
    return with_entries(question, entries_of(question, [*matches(question.type), inner, parameters, deep]))


def _hidden_in_bundle(question: Question) -> Answer | None:
    b = of_b(question.type)
    extension = [{"url": "urn:x", "valueReference": {"reference": f"Patient/{HOSTILE_B}", "display": B_MARKER}}]
    first, *rest = entries_of(question, matches(question.type))
    hidden = {
        **first,
        "extension": extension,
        "_fullUrl": {"extension": extension},
        "link": [{"relation": B_MARKER, "url": f"{question.base}/Patient/{HOSTILE_B}"}],
        "request": {"method": "GET", "url": f"Patient/{HOSTILE_B}", "ifNoneExist": B_MARKER},
        "response": {"status": B_MARKER, "location": f"Patient/{HOSTILE_B}", "outcome": b},
        "search": {**first.get("search", {"mode": "match"}), "score": 1, "extension": extension},
        "other": b,
    }
    return with_entries(
        question,
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


def _entry_of_no_resource(question: Question) -> Answer | None:
    strange: list[Any] = [None, [], "x", 7, {"resource": [of_b()]}, {"resource": B_MARKER}, {"resource": None}, {}]
    return with_entries(question, [*entries_of(question, matches(question.type)), *strange])


def _stripped_subject(question: Question) -> Answer | None:
    key = owner_key(question.type)
    stripped = [{name: value for name, value in b.items() if name != key} for b in matches_of_b(question.type)]
    if question.kind is Kind.READ:
        return as_json(stripped[0])
    return with_entries(question, entries_of(question, stripped))


def _history_of_b(question: Question) -> Answer | None:
    old = of_b(question.type, question.id)
    if question.kind is Kind.READ and "/_history/" in question.target:
        return as_json(old)
    if question.kind is not Kind.HISTORY:
        return None
    deleted = {
        "fullUrl": f"{question.base}/Patient/{HOSTILE_B}",
        "request": {"method": "DELETE", "url": f"Patient/{HOSTILE_B}"},
        "response": {"status": "204"},
    }
    return with_entries(question, [*entries_of(question, [of_a(question.type, question.id), old]), deleted])


def _pages_of_b(question: Question) -> Answer | None:
    asked = parse_qs(urlsplit(question.target).query)
    page = int(asked.get("_getpagesoffset", ["0"])[0] or 0)
    link = [
        {"relation": name, "url": f"{question.base}?_getpages=handle&_getpagesoffset={page + 2}&_count=2"}
        for name in ("next", "last", "previous", "first")
    ]
    found = matches_of_b(question.type) if "_getpages" in asked else matches(question.type)
    return with_entries(question, entries_of(question, found), link=link)


def evil_urls(question: Question) -> list[str]:
    """Addresses that no client should ever be sent to."""
    scheme, _, rest = question.base.partition("://")
    host = rest.partition("/")[0]
    return [url.format(base=question.base, scheme=scheme, host=host, mode=question.mode) for url in _EVIL]


def _evil_links(question: Question) -> Answer | None:
    urls = evil_urls(question)
    index = len(question.target) % len(urls)
    link = [{"relation": "self", "url": urls[0]}, *({"relation": "next", "url": url} for url in urls)]
    found = entries_of(question, [of_a(question.type, f"a-{number}") for number in range(len(urls))])
    entries = [{**item, "fullUrl": url} for item, url in zip(found, urls, strict=True)]
    if question.kind is Kind.WRITE:
        headers = [(name, urls[0]) for name in ("Location", "Content-Location")]
        return as_json(of_a(question.type, question.id), 201, *headers)
    return with_entries(question, entries, link=[*link, {"relation": "last", "url": urls[index]}])


def _wrong_total(question: Question) -> Answer | None:
    total = 1000 + len(question.target)
    return with_entries(question, entries_of(question, matches(question.type)), total=total)


def _total_of_no_number(question: Question) -> Answer | None:
    return with_entries(question, entries_of(question, matches(question.type)), total=f"{B_MARKER} has 7")


def _outcome_in_bundle(question: Question) -> Answer | None:
    told = entry(outcome(f"Patient/{HOSTILE_B} has 7 more"), question.base, "outcome")
    return with_entries(question, [*entries_of(question, matches(question.type)), told])


def _another_bundle_type(question: Question) -> Answer | None:
    kind = ("document", "collection", "message", "transaction-response")[len(question.target) % 4]
    return with_entries(question, entries_of(question, matches_of_b(question.type)), type=kind)


def _not_a_bundle(question: Question) -> Answer | None:
    return as_json(of_b(question.type)) if with_entries(question, []) else None


def _ndjson_of_b(question: Question) -> Answer | None:
    if question.kind is not Kind.FILE:
        return None
    if not question.target.partition("?")[0].endswith(".ndjson"):
        good = f"{question.base}/bulk/1/Observation.ndjson"
        return as_json(manifest(question, [good, *evil_urls(question)]) | {"extension": {"patient": HOSTILE_B}})
    lines = [json.dumps(resource) for resource in (of_a(), of_b(), of_a("Observation", "a-2"), of_b("Patient"))]
    return Answer("\n".join([*lines, json.dumps(of_b())[:-9]]).encode(), 200, "application/fhir+ndjson")


def _write_echoes_b(question: Question) -> Answer | None:
    if question.kind is not Kind.WRITE:
        return None
    b = of_b(question.type)
    location = f"{question.base}/{question.type}/{b['id']}/_history/1"
    return as_json(b, 201, ("Location", location), ("Content-Location", location), ("ETag", f'W/"{B_MARKER}"'))


def _batch_of_b(question: Question) -> Answer | None:
    if question.kind is not Kind.BATCH:
        return None
    document = json.loads(honest(question).body)
    b = [of_b("Patient"), of_b()]
    location = f"{question.base}/Patient/{HOSTILE_B}"
    more = [{"resource": item, "response": {"status": "200", "location": location, "outcome": item}} for item in b]
    return as_json({**document, "entry": [*more, *reversed(document["entry"]), *more]})


ANSWERS: dict[Mode, Callable[[Question], Answer | None]] = {
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
