"""Redirect URIs: which can be registered, and how an answer is put on one."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.redirect_uri import flaw_of, with_parameters
from tests.scopes.strategies import steady

CALLBACK = "https://app.example/callback"
REGISTERED = (CALLBACK, f"{CALLBACK}?tenant=7", "com.example.app:/callback", "http://127.0.0.1:7777/callback")
_PICTURED = str.maketrans({"␀": "\0", "␉": "\t", "␊": "\n", "␍": "\r"})
HOSTILE = [
    line.translate(_PICTURED)
    for line in (Path(__file__).parents[1] / "smart/hostile_redirects.txt").read_bytes().decode().split("\n")
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
    "an impossible port": ("https://app.example:99999/callback", "no URI"),
    "an empty port": ("https://app.example:/callback", "host"),
    "port zero": ("https://app.example:0/callback", "host"),
    "half an IPv6 address": ("https://[::1/callback", "no URI"),
    "a dot segment": ("https://app.example/a/../callback", "dots"),
    "an escaped dot segment": ("https://app.example/%2e%2e/callback", "dots"),
    "an escaped slash behind dots": ("https://app.example/a/..%2fcallback", "dots"),
    "a code of its own": (f"{CALLBACK}?code=stolen", "answer"),
    "a state of its own": (f"{CALLBACK}?x=1&state=forged", "answer"),
    "an issuer of its own": (f"{CALLBACK}?iss=https://evil.example", "answer"),
    "an escaped code of its own": (f"{CALLBACK}?%63ode=stolen", "answer"),
}


def test_the_corpus_is_large_and_holds_no_registered_uri() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) >= 400
    assert not set(HOSTILE) & set(REGISTERED)


@pytest.mark.requirement("R-2", "A-19")
@pytest.mark.parametrize(("uri", "word"), FLAWS.values(), ids=FLAWS)
def test_what_is_no_fixed_address_has_a_flaw_that_is_named(uri: str, word: str) -> None:
    flaw = flaw_of(uri)
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
    assert flaw_of(uri) is None


# An oracle written apart from the code: the plain form of an address, in one expression.
_PLAIN = re.compile(
    r"(https://(?!0x|[0-9]+[/?]|0[0-9]|[0-9]+\.[0-9]+[/?])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[1-9][0-9]*)?"
    r"|https://\[[0-9a-f:]+\](:[1-9][0-9]*)?"
    r"|http://(localhost|127\.0\.0\.1|\[::1\])(:[1-9][0-9]*)?"
    r"|([a-z0-9-]+\.)+[a-z0-9-]+:)"
    r"([/?A-Za-z](?!\.{1,2}(/|\?|$))[A-Za-z0-9/?:@!$&'()+,;=\[\]._~%-]*)?"
)


@pytest.mark.requirement("R-2")
def test_whatever_can_be_registered_is_a_plain_address() -> None:
    registrable = [uri for uri in HOSTILE if flaw_of(uri) is None]
    assert len(registrable) > 100, "most of them are addresses, only other ones"
    assert [uri for uri in registrable if _PLAIN.fullmatch(uri) is None] == []


@steady
@given(st.text() | st.text(alphabet="htps:/@.%#?[]:0a\\ ", max_size=30).map("https://".__add__))
def test_no_text_crashes_the_look_at_it(text: str) -> None:
    flaw_of(text)


@pytest.mark.requirement("A-19", "edge-21")
@pytest.mark.parametrize("uri", [*REGISTERED, f"{CALLBACK}?", f"{CALLBACK}?tenant=7&"])
@given(value=st.text())
@steady
def test_parameters_are_added_and_nothing_else_is_changed(uri: str, value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    answer = with_parameters(uri, [("state", value), ("iss", "https://gw.example/auth")])
    assert answer.startswith(uri)
    assert answer.isascii()
    assert answer.isprintable()
    pairs = parse_qsl(urlsplit(answer).query, keep_blank_values=True)
    assert pairs[-2:] == [("state", value), ("iss", "https://gw.example/auth")]
