"""The security headers of every HTML page (Content Security Policy Level 3).

The pages have forms and one inline stylesheet, which is allowed by its hash, and no script. They have no icon: an icon
would need an `img-src` on every page. Without it, Chromium 156 does not request `/favicon.ico` either.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from gateway.languages.language import Language
from gateway.pages.allowed_urls import safe_image
from gateway.pages.branding import PageBranding

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::(?:[0-9]{1,5}|\*))?", re.IGNORECASE | re.ASCII
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_PATH_START = re.compile(r"(?<=[^/:])[/?#]")
_FORBIDDEN_SCHEMES = frozenset({"javascript:", "data:", "blob:", "filesystem:", "vbscript:", "about:"})
_FEATURES = (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer",
    "microphone", "midi", "payment", "screen-wake-lock", "usb", "xr-spatial-tracking",
)  # fmt: skip


class BadSourceError(ValueError):
    """A text that is not a valid source in a Content-Security-Policy; the message quotes it."""


def page_headers(
    branding: PageBranding,
    language: Language,
    frame_ancestors: tuple[str, ...],
    form_sources: tuple[str, ...] = (),
    logo_urls: tuple[str, ...] = (),
    *,
    keeps_opener: bool = False,
) -> list[tuple[bytes, bytes]]:
    """All headers of a page except Content-Length.

    `frame_ancestors` are the origins that may show the page in a frame (A-17); if empty, none may.
    `form_sources` are the origins or schemes (`app:`) that the redirect after a form post may lead to, see
    `form_action_source`: Chromium applies `form-action` to every redirect that follows a post, and would otherwise
    block the redirect back to the app. `logo_urls` are the URLs of the pictures on the page.
    `keeps_opener` keeps `window.opener`: apps that run the authorization in a pop-up window wait in the opener for the
    result, and any other value of Cross-Origin-Opener-Policy would disconnect them.

    Raises `BadSourceError` for a text that is neither an origin nor a scheme.
    """
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", _policy(branding, frame_ancestors, form_sources, logo_urls).encode("ascii")),
        (b"content-language", language.tag.encode("ascii")),
        (b"vary", b"Accept-Language"),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-opener-policy", b"unsafe-none" if keeps_opener else b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", ", ".join(f"{feature}=()" for feature in _FEATURES).encode("ascii")),
    ]
    # X-Frame-Options has only "deny" and "same origin" and would contradict a list of origins.
    return headers if frame_ancestors else [*headers, (b"x-frame-options", b"DENY")]


def form_action_source(url: str) -> str:
    """The source for `form_sources` that allows a redirect to `url` (a redirect or launch URI).

    The origin of an http(s) URL, with any port for a loopback address without one (RFC 8252, 7.3). The scheme for a
    private-use scheme (RFC 8252, 7.1) and for an IPv6 host, which the grammar of CSP cannot express.

    Raises `BadSourceError`.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise BadSourceError(f"{url!r} is not a URL") from None
    if scheme not in {"http", "https"} or (host is not None and ":" in host):
        return _source(f"{scheme}:")
    if port is None and scheme == "http" and host == "127.0.0.1":
        return _source("http://127.0.0.1:*")
    return _source(f"{scheme}://{host or ''}" + ("" if port is None else f":{port}"))


def _policy(
    branding: PageBranding,
    frame_ancestors: tuple[str, ...],
    form_sources: tuple[str, ...],
    logo_urls: tuple[str, ...],
) -> str:
    own_logo = ["'self'"] if branding.logo else []
    directives = [
        ("default-src", ["'none'"]),
        ("style-src", [f"'{branding.stylesheet.hash}'"]),
        ("img-src", _unique([*own_logo, *(_logo_source(url) for url in logo_urls if safe_image(url))])),
        ("form-action", ["'self'", *_unique(_source(text) for text in form_sources)]),
        ("base-uri", ["'none'"]),
        ("frame-ancestors", _unique(_ancestor_source(origin) for origin in frame_ancestors) or ["'none'"]),
    ]
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives if sources)


def _logo_source(url: str) -> str:
    return "data:" if url[:5].lower() == "data:" else _PATH_START.split(url, maxsplit=1)[0]


def _ancestor_source(origin: str) -> str:
    return origin if origin == "'self'" else _source(origin)


def _source(text: str) -> str:
    if (_ORIGIN.fullmatch(text) or _SCHEME.fullmatch(text)) and text.lower() not in _FORBIDDEN_SCHEMES:
        return text
    raise BadSourceError(f"{text!r} is neither an origin nor a scheme that a page may redirect to")


def _unique(sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sources))
