"""`python -m bench.verification`: the CPU time of verifying one page, body bytes to answer bytes, by its style of JSON.

Nothing is sent and no server is started. The bodies take turns, and the smallest time of many rounds counts, so that
the figures can be repeated on a machine that does other work too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bench import bodies
from bench.bodies import PAGE, PATIENT
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.resources.bundle import read_bundle, write_bundle
from gateway.fhir.resources.links import UrlRewriter
from gateway.fhir.resources.resource import check_utf8, remove_white_space
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, SearchFilter
from gateway.policy.judgement.judge_bundle_entries import judge_bundle
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.scopes.parse_scopes import parse_scopes

_PUBLIC = "https://gateway.invalid/fhir"
_SERVER = "http://127.0.0.1:8080/fhir"
_SCOPE = "patient/*.rs"
_PAGES_PER_ROUND = 20
COMPACT = "compact"


def page_bodies() -> dict[str, bytes]:
    """The same page in each style. Those with a row in `make bench` come first."""
    page = bodies.searchset([PATIENT] * PAGE)
    told = bodies.with_narratives(page)
    compact = bodies.compact(page)
    return {
        COMPACT: compact,
        "pretty": bodies.pretty(page),
        "escaped": bodies.escaped(told),
        "absolute": bodies.compact(bodies.with_absolute_references(page, _SERVER)),
        "narratives in UTF-8": bodies.compact(told),
        "spaces after colons and commas": json.dumps(page).encode(),
        "pretty, escaped, absolute": _pretty_escaped(bodies.with_absolute_references(told, _SERVER)),
        "every slash escaped": bodies.escaped(told).replace(b"/", b"\\/"),
        "a line feed at the end": compact + b"\n",
        "contained resources": bodies.compact(_with_contained(page)),
        "a member of the entry that is not read": compact.replace(b'"resource":', b'"link":[],"resource":'),
        "a name with an escape in each resource": compact.replace(b'"status":', b'"st\\u0061tus":'),
        "a value with an escaped letter": compact.replace(b'"final"', b'"f\\u0069n\\u0061l"'),
    }


def _pretty_escaped(page: dict[str, Any]) -> bytes:
    return bodies.pretty(json.loads(bodies.escaped(page).replace(b"\\u", b"\\\\u"))).replace(b"\\\\u", b"\\u")


def _with_contained(page: dict[str, Any]) -> dict[str, Any]:
    contained = [{"resourceType": "Device", "id": "d", "deviceName": [{"name": "Analyser", "type": "other"}]}]
    return page | {
        "entry": [{**entry, "resource": entry["resource"] | {"contained": contained}} for entry in page["entry"]]
    }


class Verifier:
    """Verifies pages like the gateway, for a token of patient a."""

    def __init__(self) -> None:
        access = Access("https://issuer.invalid", "app", "user", parse_scopes(_SCOPE).scopes, 0.0, patient=PATIENT)
        decision = decide(
            parse_request("GET", b"/Observation", b"code=all", {}, b""), Grant(access, Rules(_PUBLIC, _SERVER))
        )
        assert isinstance(decision, Allow)
        assert isinstance(decision.response_filter, SearchFilter)
        self._filter = decision.response_filter
        self._rewriter = UrlRewriter(_SERVER, _PUBLIC)

    def verify(self, body: bytes) -> bytes:
        """The answer for a page of the FHIR server."""
        check_utf8(body)
        verdict = judge_bundle(read_bundle(remove_white_space(body)), self._filter)
        entries = [entry for entry in verdict.kept_entries if entry is not None]
        links = [("self", f"{_PUBLIC}/Observation?code=all")]
        return self._rewriter.rewrite(write_bundle("searchset", links=links, entries=entries))


def measure(verifier: Verifier, pages: dict[str, bytes], rounds: int) -> dict[str, float]:
    """The least CPU microseconds for each page, over rounds in which all take turns."""
    least = dict.fromkeys(pages, float("inf"))
    for _ in range(rounds):
        for name, body in pages.items():
            started = time.process_time_ns()
            for _ in range(_PAGES_PER_ROUND):
                verifier.verify(body)
            least[name] = min(least[name], (time.process_time_ns() - started) / 1000 / _PAGES_PER_ROUND)
    return least


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.verification", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="rounds of 20 pages for each body (200)")
    arguments = parser.parse_args()
    pages, verifier = page_bodies(), Verifier()
    for name, body in pages.items():
        kept = len(json.loads(verifier.verify(body))["entry"])
        if kept != PAGE:
            print(f"{name}: {kept} entries are left of {PAGE}", file=sys.stderr)
            return 1
    least = measure(verifier, pages, arguments.rounds)
    print(f"{'body':42}{'bytes':>9}{'CPU us':>9}{'x compact':>11}")
    for name, microseconds in least.items():
        print(f"{name:42}{len(pages[name]):>9}{microseconds:>9.0f}{microseconds / least[COMPACT]:>11.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
