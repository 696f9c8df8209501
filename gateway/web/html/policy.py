"""The headers of every page: what a browser may do with it, which is next to nothing.

Content Security Policy Level 3. The pages have no script, one inlined stylesheet named by its hash, and forms. They
have no icon: one would need an `img-src` on every page, and without it no request for `/favicon.ico` follows a page
either (seen in Chromium 156).
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.web.html.addresses import image
from gateway.web.html.style import STYLE

STYLE_HASH = "sha256-" + b64encode(sha256(STYLE.encode()).digest()).decode()
"""The hash of the inlined stylesheet, as `style-src` names it (without the quotes)."""

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_SITE = re.compile(r"(?<=[^/:])[/?#]")
_NEVER = frozenset({"javascript:", "data:", "blob:", "filesystem:", "vbscript:", "about:"})
_FEATURES = (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer",
    "microphone", "midi", "payment", "screen-wake-lock", "usb", "xr-spatial-tracking",
)  # fmt: skip


class BadSource(ValueError):
    """A text that cannot stand as a source in a Content-Security-Policy; the message names it."""


def page_headers(
    frame_ancestors: tuple[str, ...],
    form_targets: tuple[str, ...] = (),
    logos: tuple[str, ...] = (),
    *,
    opener: bool = False,
) -> list[tuple[bytes, bytes]]:
    """All headers of a page but its length.

    `frame_ancestors` are the origins that may show the page in a frame (A-17); none when empty.
    `form_targets` are the origins or schemes (`app:`) that the redirect after a form post may lead to, see
    `form_target`: Chromium holds every redirect that follows a post to `form-action`, and would otherwise stop the
    one back to the app. `logos` are the addresses of the pictures on the page.
    `opener` keeps the tie to the window that opened the page: apps that run the authorization in a pop-up window wait
    there for an answer, and any other value of Cross-Origin-Opener-Policy would cut them off.

    Raises `BadSource` for a text that is neither an origin nor a scheme.
    """
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", _policy(frame_ancestors, form_targets, logos).encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-opener-policy", b"unsafe-none" if opener else b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", ", ".join(f"{feature}=()" for feature in _FEATURES).encode("ascii")),
    ]
    # The older header knows only "nobody" and "this origin": beside a list of origins it would contradict it.
    return headers if frame_ancestors else [*headers, (b"x-frame-options", b"DENY")]


def form_target(address: str) -> str:
    """The source for `form_targets` that admits a redirect to `address` (a redirect or launch URI).

    An origin for a web address; the scheme for a private-use scheme (RFC 8252, 7.1), and for an IPv6 host, which the
    grammar of CSP cannot write. Raises `BadSource`.
    """
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise BadSource(f"{address!r} is not an address") from None
    if scheme not in {"http", "https"} or (host is not None and ":" in host):
        return _source(f"{scheme}:")
    return _source(f"{scheme}://{host or ''}" + ("" if port is None else f":{port}"))


def _policy(frame_ancestors: tuple[str, ...], form_targets: tuple[str, ...], logos: tuple[str, ...]) -> str:
    directives = [
        ("default-src", ["'none'"]),
        ("style-src", [f"'{STYLE_HASH}'"]),
        ("img-src", _once(_logo_source(address) for address in logos if image(address))),
        ("form-action", ["'self'", *_once(_source(target) for target in form_targets)]),
        ("base-uri", ["'none'"]),
        ("frame-ancestors", _once(_ancestor(origin) for origin in frame_ancestors) or ["'none'"]),
    ]
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives if sources)


def _logo_source(address: str) -> str:
    return "data:" if address[:5].lower() == "data:" else _SITE.split(address, maxsplit=1)[0]


def _ancestor(origin: str) -> str:
    return origin if origin == "'self'" else _source(origin)


def _source(text: str) -> str:
    if (_ORIGIN.fullmatch(text) or _SCHEME.fullmatch(text)) and text.lower() not in _NEVER:
        return text
    raise BadSource(f"{text!r} is neither an origin nor a scheme that a page may lead to")


def _once(sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sources))
