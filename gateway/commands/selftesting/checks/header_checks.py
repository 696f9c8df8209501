"""Headers: whether forged ones change what the gateway says of itself, and whether its own protect browsers."""

from collections.abc import Mapping

from gateway.commands.selftesting.check_results import CheckError, CheckResults, CheckWarning
from gateway.commands.selftesting.smart_app import CALLBACK, Endpoints
from gateway.commands.selftesting.web import Answer, Web

FAMILY = "headers"
SPOOFED_HEADERS: Mapping[str, str] = {
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "gopher",
    "x-forwarded-port": "6666",
    "x-forwarded-prefix": "/evil.example",
    "x-forwarded-server": "evil.example",
    "x-forwarded-uri": "/fhir/Patient/evil.example",
    "x-forwarded-for": "127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "x-original-url": "/fhir/Patient/evil.example",
    "x-rewrite-url": "/fhir/Patient/evil.example",
    "x-host": "evil.example",
    "forwarded": "for=127.0.0.1;host=evil.example;proto=gopher",
}
_FORGED = ("evil.example", "gopher:", ":6666")
_ORIGIN = "https://selftest.invalid"


def check_headers(results: CheckResults, web: Web, base: str, endpoints: Endpoints | None) -> None:
    """Check what forwarding headers do, cross-origin requests, and the headers of pages."""
    with results.check(
        FAMILY,
        "forged forwarding headers change no document, link or redirect",
        "What stands before the gateway must overwrite X-Forwarded-* and Forwarded; listen.trusted_proxies names it.",
    ):
        for url in _documents(base, endpoints):
            _check_same(web, url)
    with results.check(FAMILY, "a forged Host names no address in an answer"):
        for url in _documents(base, endpoints):
            _check_forged(web.request("GET", url, headers={"host": "evil.example"}))
    with results.check(
        FAMILY,
        "no page of another origin uses the user's cookies, or the pages and the admin API at all",
        "Credentials are never needed across origins: take them out of what stands before the gateway.",
    ):
        _check_cors(web, base, endpoints)
    with results.check(FAMILY, "answers cannot be taken for another type of content (nosniff)"):
        for path in ("/metadata", "/Patient?_count=1"):
            _check_header(web.request("GET", base + path), "x-content-type-options", "nosniff")
    with results.check(FAMILY, "the discovery documents are open to every origin"):
        answer = web.request("GET", f"{base}/metadata", headers={"origin": _ORIGIN})
        if answer.headers.get("access-control-allow-origin") not in {"*", _ORIGIN}:
            raise CheckWarning("apps in browsers cannot read the CapabilityStatement", sent=answer.sent)
    if endpoints is None:
        return
    with results.check(FAMILY, "pages are not cached, framed or referred from, and run no script"):
        answer = web.request("GET", _unknown_app(endpoints), headers={"accept": "text/html"})
        policy = answer.headers.get("content-security-policy", "")
        for directive in ("default-src 'none'", "frame-ancestors", "form-action", "base-uri 'none'"):
            if directive not in policy:
                raise CheckError(f"the Content-Security-Policy has no {directive}", sent=answer.sent.partition("?")[0])
        for name, value in (("cache-control", "no-store"), ("referrer-policy", "no-referrer")):
            _check_header(answer, name, value)
    with results.check(FAMILY, "an app that is not registered is sent nowhere"):
        answer = web.request("GET", _unknown_app(endpoints), headers={"accept": "text/html"})
        if not 400 <= answer.status < 500 or "location" in answer.headers:
            raise CheckError(f"the status is {answer.status}", sent=answer.sent.partition("?")[0])


def _documents(base: str, endpoints: Endpoints | None) -> tuple[str, ...]:
    found = (f"{base}/metadata", f"{base}/.well-known/smart-configuration", f"{base}/Patient/selftest-unknown")
    if endpoints is None:
        return found
    return (
        *found,
        f"{endpoints.issuer}/.well-known/openid-configuration",
        _unknown_app(endpoints),
        f"{endpoints.issuer}/apps",
    )


def _unknown_app(endpoints: Endpoints) -> str:
    return f"{endpoints.authorize}?response_type=code&client_id=selftest-unknown&redirect_uri={CALLBACK}&state=a1b2"


def _check_same(web: Web, url: str) -> None:
    """The answer is the same with each of the headers as without."""
    plain = web.request("GET", url)
    for name, value in SPOOFED_HEADERS.items():
        answer = web.request("GET", url, headers={name: value})
        _check_forged(answer, name)
        if answer.status != plain.status or answer.headers.get("location") != plain.headers.get("location"):
            raise CheckError(f"{name} changes the status from {plain.status} to {answer.status}", sent=_path(answer))


def _check_forged(answer: Answer, name: str = "Host") -> None:
    head = " ".join(answer.headers.values())
    for text in _FORGED:
        if text in head or text in answer.text:
            raise CheckError(f"{name} puts {text!r} into the answer", sent=_path(answer))


def _check_cors(web: Web, base: str, endpoints: Endpoints | None) -> None:
    urls = [f"{base}/Patient?_count=1", f"{base}/metadata"]
    closed = [] if endpoints is None else [f"{endpoints.issuer}/apps", f"{endpoints.issuer}/admin/clients"]
    for url in (*urls, *closed, *([] if endpoints is None else [endpoints.token])):
        for method in ("GET", "OPTIONS"):
            preflight = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
            headers = {"origin": _ORIGIN, **(preflight if method == "OPTIONS" else {})}
            answer = web.request(method, url, headers=headers)
            if answer.headers.get("access-control-allow-credentials", "").lower() == "true":
                raise CheckError("every origin may send credentials", sent=_path(answer))
            if url in closed and "access-control-allow-origin" in answer.headers:
                raise CheckError("another origin may read it", sent=_path(answer))


def _check_header(answer: Answer, name: str, value: str) -> None:
    if value not in answer.headers.get(name, ""):
        raise CheckError(f"there is no {name}: {value}", sent=_path(answer))


def _path(answer: Answer) -> str:
    return answer.sent.partition("?")[0]
