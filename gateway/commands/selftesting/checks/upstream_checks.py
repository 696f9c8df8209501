"""The FHIR server behind: whether it can be reached around the gateway from here, and whether the gateway names it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from gateway.commands.selftesting.check_results import CheckError, CheckResults, CheckWarning
from gateway.commands.selftesting.web import Web

FAMILY = "upstream"


def check_upstream(results: CheckResults, web: Web, base: str, upstream: str) -> bool:
    """Ask the server at `upstream` without credentials. Returns whether it shows records; none of them is printed."""
    is_open = False
    with results.check(
        FAMILY,
        "the FHIR server behind shows nothing to this machine without the gateway",
        "Let a network policy or a firewall admit the gateway alone: see docs/security-model.md.",
    ):
        try:
            answer = web.request("GET", f"{upstream}/Patient?_count=1", headers={"accept": "application/fhir+json"})
        except httpx2.HTTPError:
            # It cannot be reached from here, as it should be.
            return False
        is_open = answer.status == 200
        if is_open:
            raise CheckWarning("it answers a search for patients without any credentials")
    with results.check(FAMILY, "no document of the gateway names the address of the FHIR server behind"):
        _check_documents(web, base, upstream)
    return is_open


def _check_documents(web: Web, base: str, upstream: str) -> None:
    address = urlsplit(upstream).netloc
    if address == urlsplit(base).netloc:
        return
    for path in ("/metadata", "/.well-known/smart-configuration", "/Patient/selftest-unknown"):
        answer = web.request("GET", f"{base}{path}")
        if address in answer.text or address in _head(answer.headers):
            raise CheckError("the answer has it", sent=answer.sent)


def _head(headers: Mapping[str, str]) -> str:
    return "\n".join(headers.values())
