"""The security headers of the pages."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.languages.language import ENGLISH
from gateway.pages.branding import UNBRANDED
from gateway.pages.security_headers import BadSourceError, form_action_source, page_headers
from tests.pages.rendering import render
from tests.pages.samples import VIEWS


def headers_of(
    frame_ancestors: tuple[str, ...], *arguments: tuple[str, ...], keeps_opener: bool = False
) -> list[tuple[bytes, bytes]]:
    return page_headers(UNBRANDED, ENGLISH, frame_ancestors, *arguments, keeps_opener=keeps_opener)


def policy(*arguments: tuple[str, ...]) -> dict[str, list[str]]:
    value = dict(headers_of(*arguments))[b"content-security-policy"].decode()
    return {name: sources for name, *sources in (directive.split(" ") for directive in value.split("; "))}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_the_hash_is_that_of_the_style_which_the_page_carries(view: object) -> None:
    page = render(view).decode()  # type: ignore[arg-type]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert "\r" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" == UNBRANDED.stylesheet.hash


def test_a_page_may_do_nothing_but_show_its_style_and_post_to_its_own_origin() -> None:
    assert policy(()) == {
        "default-src": ["'none'"],
        "style-src": [f"'{UNBRANDED.stylesheet.hash}'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_the_redirect_to_the_app_may_follow_a_post() -> None:
    targets = tuple(form_action_source(uri) for uri in ("https://app.example/cb?x=1", "com.example.app:/cb"))
    assert policy((), targets)["form-action"] == ["'self'", "https://app.example", "com.example.app:"]


def test_pictures_are_let_in_only_from_where_the_logos_are() -> None:
    logos = (
        "https://a.example/x.png",
        "https://a.example/y.png",
        "data:image/png;base64,AA==",
        "http://b.example/z",
        "",
    )
    assert policy((), (), logos)["img-src"] == ["https://a.example", "data:"]


@pytest.mark.requirement("A-17", "edge-25")
def test_nobody_frames_a_page_unless_the_configuration_says_so() -> None:
    assert dict(headers_of(()))[b"x-frame-options"] == b"DENY"
    framed = headers_of(("https://ehr.example", "'self'"))
    assert b"x-frame-options" not in dict(framed)
    assert policy(("https://ehr.example", "'self'"))["frame-ancestors"] == ["https://ehr.example", "'self'"]


def test_a_page_is_never_stored_sniffed_or_told_on() -> None:
    headers = dict(headers_of(()))
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cross-origin-opener-policy"] == b"same-origin"
    assert b"camera=()" in headers[b"permissions-policy"]


def test_a_page_in_a_pop_up_may_keep_its_opener() -> None:
    assert dict(headers_of((), keeps_opener=True))[b"cross-origin-opener-policy"] == b"unsafe-none"


@pytest.mark.parametrize(
    ("address", "source"),
    [
        pytest.param("https://app.example/callback", "https://app.example", id="the origin of a web address"),
        pytest.param("https://APP.example:8443/cb", "https://app.example:8443", id="with its port"),
        pytest.param("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000", id="loopback"),
        pytest.param("http://127.0.0.1/cb", "http://127.0.0.1:*", id="loopback of a native app, with every port"),
        pytest.param("http://[::1]:5000/cb", "http:", id="the scheme for IPv6, which CSP cannot write"),
        pytest.param("com.example.app:/cb", "com.example.app:", id="a private-use scheme"),
        pytest.param("myapp://cb", "myapp:", id="a private-use scheme with slashes"),
    ],
)
def test_form_target(address: str, source: str) -> None:
    assert form_action_source(address) == source


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://a b/",
        "https://a:99999/",
        "http://[x/",
    ],
)
def test_form_target_refuses_what_leads_nowhere_or_runs(address: str) -> None:
    with pytest.raises(BadSourceError):
        form_action_source(address)


@pytest.mark.parametrize(
    "source", ["*", "https://a.example; script-src *", "https://a.example\r\nx: y", "'unsafe-inline'", ""]
)
def test_a_source_cannot_smuggle_another_directive_or_header(source: str) -> None:
    with pytest.raises(BadSourceError):
        headers_of((), (source,))
    with pytest.raises(BadSourceError):
        headers_of((source,))


@given(st.text(), st.text(), st.text())
def test_any_texts_make_a_clean_header_or_are_refused(ancestor: str, target: str, logo: str) -> None:
    try:
        headers = headers_of((ancestor,), (target,), (logo, f"https://{logo}"))
    except BadSourceError:
        return
    assert re.fullmatch(rb"[ -~]+", dict(headers)[b"content-security-policy"])
