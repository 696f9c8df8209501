"""Authorization requests with hostile scopes, and the consent page: what CPU time anybody can make the server spend.

The peer of each row is the same step of an ordinary request, on the same server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx2

from bench.machine import Cores
from bench.ratios import Goal, Round, Row, Run, costs_at_most, make_row
from bench.servers import BenchSetup
from bench.token_endpoint import CALLBACK, PASSWORD, SmartGateway, Valkey, measure_load

_FORM_TOKEN = re.compile(r'name="csrf" value="([^"]*)"')
_MAX_PAGE_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class _AuthorizeRow:
    """The scope of a row, and whether its consent page is measured instead of the request itself."""

    scope: str
    is_page: bool
    goal: Goal


def _many(count: int, pattern: str) -> str:
    return " ".join(pattern.format(number) for number in range(count))


_ROWS = {
    "authorize-999-bad-scopes": _AuthorizeRow(_many(999, "bad{}"), False, costs_at_most(1.5)),
    "authorize-300-bad-scopes": _AuthorizeRow(_many(300, "bad{}"), False, costs_at_most(4)),
    "authorize-300-wildcards": _AuthorizeRow(_many(300, "user/*.rs?_tag=http://x|{}"), False, costs_at_most(8)),
    "consent-298-constraints": _AuthorizeRow(_many(298, "user/*.rs?_tag=http://x|{}"), True, costs_at_most(10)),
}
NAMES = tuple(_ROWS)
_ORDINARY = "openid fhirUser user/*.rs"


def measure_authorize(name: str, setup: BenchSetup, cores: Cores, *, rounds: int, requests: int, quiet: float) -> Row:
    """One row of `rounds` rounds with `requests` requests each."""
    row = _ROWS[name]
    with Valkey(setup, cores.load) as valkey, SmartGateway(setup, cores.server, valkey.port) as gateway:
        ours, peer = (
            (_page_request if row.is_page else _start_request)(gateway, scope) for scope in (row.scope, _ORDINARY)
        )
        status = b"200" if row.is_page else b"303"

        def run(request: bytes, count: int = requests) -> Run:
            return measure_load(gateway, valkey, [request] * count, status)

        for request in (ours, peer):
            run(request, requests // 4)
        measured = [Round((run(ours), run(ours)), (run(peer), run(peer))) for _ in range(rounds)]
        return make_row(name, "ordinary-request", measured, rounds, quiet, row.goal)


def _parameters(scope: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "98wrghuwuogerg97",
    }


def _start_request(gateway: SmartGateway, scope: str) -> bytes:
    """A POST to `/authorize` of which nobody is signed in."""
    body = urlencode({**_parameters(scope), "aud": gateway.fhir_base_url})
    head = "POST /auth/authorize HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode("ascii")


def _page_request(gateway: SmartGateway, scope: str) -> bytes:
    """A GET of the consent page, after a user has signed in."""
    parameters = {**_parameters(scope), "aud": gateway.fhir_base_url}
    with httpx2.Client(follow_redirects=True, trust_env=False) as browser:
        login = browser.post(f"{gateway.issuer}/authorize", data=parameters)
        token = _FORM_TOKEN.search(login.text)
        assert token is not None, f"there is no login page, but {login.status_code}"
        form = {"csrf": token[1], "username": "doctor", "password": PASSWORD}
        page = browser.post(f"{login.url}/login", data=form)
        if "Your decision" not in page.text or len(page.content) > _MAX_PAGE_BYTES:
            raise OSError(f"no consent page of at most {_MAX_PAGE_BYTES} bytes: {page.status_code} {len(page.content)}")
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    path = urlsplit(str(page.url)).path
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nCookie: {cookies}\r\n\r\n".encode("ascii")
