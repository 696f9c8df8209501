"""Checks `aud`, so that an app does not send a token issued here to another server (checklist A-8, A-9)."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_fhir_base_url(audience: str, fhir_base_url: str) -> bool:
    """Whether `audience` is our FHIR base URL.

    One trailing slash, the case of scheme and host, and the default port may differ. Nothing else may (fixed choice 3,
    edge case 14): a longer path, a query or a fragment, even an empty one, is refused.
    """
    if any(character in audience for character in "?#\\") or not all("!" <= character <= "~" for character in audience):
        return False
    normalised = _normalise(audience)
    return normalised is not None and normalised == _normalise(fhir_base_url)


def _normalise(url: str) -> tuple[str, str, int | None, str] | None:
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
