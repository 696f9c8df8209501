"""Redirect URIs: which can be registered, and how response parameters are added."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.client.redirect_uri import add_parameters, is_registered, uri_problem
from tests.scopes.strategies import steady

CALLBACK = "https://app.example/callback"
REGISTERED = (CALLBACK, f"{CALLBACK}?tenant=7", "com.example.app:/callback", "http://127.0.0.1:7777/callback")
_PICTURED = str.maketrans({"␀": "\0", "␉": "\t", "␊": "\n", "␍": "\r"})
HOSTILE = [
    line.translate(_PICTURED)
    for line in (Path(__file__).parents[1] / "smart_server/hostile_redirects.txt").read_bytes().decode().split("\n")
    if line and not line.startswith("# ")
]
FLAWS = {
    "a fragment": (f"{CALLBACK}#x", "fragment"),
    "an empty fragment": (f"{CALLBACK}#", "fragment"),
    "a wildcard host": ("https://*.app.example/callback", "wildcard"),
    "a wildcard path": ("https://app.example/*", "wildcard"),
    "a port variable": ("http://127.0.0.1:*/callback", "wildcard"),
    "a user name": ("https://user@app.example/callback", "user name"),
    "a host before an at sign": ("https://app.example@evil.example/callback", "user name"),
    "plain http": ("http://app.example/callback", "https"),
    "http to a host like this device": ("http://localhost.evil.example/callback", "https"),
    "a script": ("javascript:alert(1)", "scheme"),
    "data": ("data:text/html,x", "scheme"),
    "a file": ("file:///tmp/x", "scheme"),
    "out of band": ("urn:ietf:wg:oauth:2.0:oob", "scheme"),
    "a scheme without a dot": ("myapp:/callback", "scheme"),
    "a scheme in upper case": ("HTTPS://app.example/callback", "lower case"),
    "no host": ("https:///callback", "no host"),
    "no slashes": ("https:app.example/callback", "no host"),
    "a relative address": ("/callback", "scheme"),
    "nothing": ("", "character"),
    "a space": ("https://app.example/call back", "character"),
    "a line break": (f"{CALLBACK}\r\nSet-Cookie: a=b", "character"),
    "an escaped line break": (f"{CALLBACK}%0d%0a", "character"),
    "an escaped null byte": (f"{CALLBACK}%00", "character"),
    "a broken escape": (f"{CALLBACK}%zz", "character"),
    "an overlong escape": (f"{CALLBACK}%c0%af", "character"),
    "a backslash": ("https://app.example\\callback", "character"),
    "a letter of another alphabet": ("https://\u0430pp.example/callback", "character"),
    "an escaped host": ("https://app%2eexample/callback", "host"),
    "a host with a comma": ("https://app.example,evil.example/callback", "host"),
    "a host with an underscore": ("https://app_1.example/callback", "host"),
    "a host that ends in a dot": ("https://app.example./callback", "host"),
    "a host with an empty label": ("https://app..example/callback", "host"),
    "a host that is a number": ("https://2130706433/callback", "host"),
    "a host that is a hexadecimal number": ("https://0x7f000001/callback", "host"),
    "a short IPv4 address": ("http://127.1/callback", "host"),
    "an octal IPv4 address": ("https://0177.0.0.1/callback", "host"),
    "a long IPv6 address": ("http://[0:0:0:0:0:0:0:1]/callback", "host"),
    "an impossible port": ("https://app.example:99999/callback", "not a URI"),
    "an empty port": ("https://app.example:/callback", "host"),
    "port zero": ("https://app.example:0/callback", "host"),
    "half an IPv6 address": ("https://[::1/callback", "not a URI"),
    "a dot segment": ("https://app.example/a/../callback", "dots"),
    "an escaped dot segment": ("https://app.example/%2e%2e/callback", "dots"),
    "an escaped slash behind dots": ("https://app.example/a/..%2fcallback", "dots"),
    "a code of its own": (f"{CALLBACK}?code=stolen", "response"),
    "a state of its own": (f"{CALLBACK}?x=1&state=forged", "response"),
    "an issuer of its own": (f"{CALLBACK}?iss=https://evil.example", "response"),
    "an escaped code of its own": (f"{CALLBACK}?%63ode=stolen", "response"),
}


def test_the_corpus_is_large_and_holds_no_registered_uri() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) >= 400
    assert not set(HOSTILE) & set(REGISTERED)


@pytest.mark.requirement("R-2", "A-19")
@pytest.mark.parametrize(("uri", "word"), FLAWS.values(), ids=FLAWS)
def test_what_is_no_fixed_address_has_a_flaw_that_is_named(uri: str, word: str) -> None:
    flaw = uri_problem(uri)
    assert flaw is not None
    assert word in flaw


SOUND = [
    *REGISTERED,
    "https://app.example",
    "https://app.example/",
    "https://APP.example/Callback",
    "https://app.example:8443/a/b.c/..d/~x?tenant=7&y=%C3%A9",
    "https://xn--pp-6kc.example/callback",
    "https://192.0.2.7/callback",
    "https://[2001:db8::1]:8443/callback",
    "http://localhost:3000/callback",
    "http://[::1]:3000/callback",
    "com.example.app:/callback",
    "com.example.app://callback",
]


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize("uri", SOUND)
def test_fixed_addresses_of_the_web_and_of_devices_can_be_registered(uri: str) -> None:
    assert uri_problem(uri) is None


# An independent oracle: the allowed form of a URI in one regular expression.
_PLAIN = re.compile(
    r"(https://(?!0x|[0-9]+[/?]|0[0-9]|[0-9]+\.[0-9]+[/?])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[1-9][0-9]*)?"
    r"|https://\[[0-9a-f:]+\](:[1-9][0-9]*)?"
    r"|http://(localhost|127\.0\.0\.1|\[::1\])(:[1-9][0-9]*)?"
    r"|([a-z0-9-]+\.)+[a-z0-9-]+:)"
    r"([/?A-Za-z](?!\.{1,2}(/|\?|$))[A-Za-z0-9/?:@!$&'()+,;=\[\]._~%-]*)?"
)


@pytest.mark.requirement("R-2")
def test_whatever_can_be_registered_is_a_plain_address() -> None:
    registrable = [uri for uri in HOSTILE if uri_problem(uri) is None]
    assert len(registrable) > 100, "most of them are addresses, only other ones"
    assert [uri for uri in registrable if _PLAIN.fullmatch(uri) is None] == []


NATIVE = ("http://127.0.0.1/callback", "http://[::1]/callback?tenant=7", "http://127.0.0.1")


@pytest.mark.requirement("A-4")
@pytest.mark.parametrize(
    "uri",
    [*NATIVE, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "http://[::1]:49152/callback?tenant=7",
     "http://127.0.0.1:8000"],
)  # fmt: skip
def test_a_loopback_address_without_a_port_holds_for_every_port(uri: str) -> None:
    assert is_registered(uri, NATIVE)


@pytest.mark.requirement("A-4", "edge-9")
@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:0/callback", "http://127.0.0.1:07/callback", "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:/callback", "http://127.0.0.1:8000/other", "http://127.0.0.1:8000/callback/",
        "http://127.0.0.1:8000/callback?x", "http://127.0.0.1:8000callback", "http://127.0.0.1:8000@evil.example/callback",
        "http://127.0.0.1:8000:9000/callback", "http://127.0.0.1:8000\\@evil.example/callback",
        "http://127.0.0.1:8000#/callback", "http://localhost:8000/callback", "http://127.0.0.2:8000/callback",
        "https://127.0.0.1:8000/callback", "HTTP://127.0.0.1:8000/callback", "http://[::1]:8000/callback",
        "http://127.0.0.1:8000/callback\n", "http://127.0.0.1:\uff18000/callback",
    ],
)  # fmt: skip
def test_nothing_but_the_port_may_differ(uri: str) -> None:
    assert not is_registered(uri, NATIVE)


@pytest.mark.parametrize(
    "registered",
    ["http://localhost/callback", "http://127.0.0.1:7777/callback", "https://app.example/callback",
     "http://[::1]:7777/callback", "https://127.0.0.1/callback"],
)  # fmt: skip
def test_a_name_another_address_or_a_registered_port_holds_for_no_other_port(registered: str) -> None:
    parts = urlsplit(registered)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    assert is_registered(registered, [registered])
    assert not is_registered(f"{parts.scheme}://{host}:8000/callback", [registered])
    assert not is_registered(f"{parts.scheme}://{host}:8000", [registered])


@pytest.mark.requirement("A-4", "edge-9")
def test_no_hostile_redirect_uri_is_registered() -> None:
    assert [uri for uri in HOSTILE if is_registered(uri, REGISTERED)] == []


@steady
@given(st.text() | st.text(alphabet="htps:/@.%#?[]:0a\\ ", max_size=30).map("https://".__add__))
def test_no_text_crashes_the_look_at_it(text: str) -> None:
    uri_problem(text)


@pytest.mark.requirement("A-19", "edge-21")
@pytest.mark.parametrize("uri", [*REGISTERED, f"{CALLBACK}?", f"{CALLBACK}?tenant=7&"])
@given(value=st.text())
@steady
def test_parameters_are_added_and_nothing_else_is_changed(uri: str, value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    answer = add_parameters(uri, [("state", value), ("iss", "https://gw.example/auth")])
    assert answer.startswith(uri)
    assert answer.isascii()
    assert answer.isprintable()
    pairs = parse_qsl(urlsplit(answer).query, keep_blank_values=True)
    assert pairs[-2:] == [("state", value), ("iss", "https://gw.example/auth")]
