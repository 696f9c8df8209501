"""Whether `aud` names our FHIR base, so that no app sends a token of ours elsewhere (checklist A-8, A-9)."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_our_base(audience: str, base: str) -> bool:
    """Whether `audience` is `base`: one trailing slash, case of scheme and host, and the default port are forgiven.

    Nothing else is (fixed choice 3, edge case 14): not a path below, not a query, not a fragment, even an empty one.
    """
    if any(mark in audience for mark in "?#\\") or not all("!" <= one <= "~" for one in audience):
        return False
    told, ours = _parts(audience), _parts(base)
    return told is not None and told == ours


def _parts(url: str) -> tuple[str, str, int | None, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or parts.hostname is None:
        return None
    scheme = parts.scheme.lower()
    port = _DEFAULT_PORTS.get(scheme) if port is None else port
    return scheme, parts.hostname.lower(), port, parts.path.removesuffix("/")
