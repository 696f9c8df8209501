"""Whether a client takes FHIR JSON, by `_format` or the Accept header (R4 http.html 3.1.0.1.11, RFC 9110 12.5.1)."""

import re
from functools import lru_cache

# `application/fhir json` is what a raw `+` in a query decodes to.
_JSON = frozenset({"application/fhir+json", "application/json", "text/json", "json"})
_JSON_IN_FORMAT = _JSON | {"application/fhir json"}
# Most specific first: RFC 9110 lets a more specific range override a wider one.
_RANGES = (_JSON, frozenset({"application/*"}), frozenset({"*/*"}))
_OUR_VERSIONS = frozenset({"4.0", "4.0.1"})
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MAX_CACHED = 256


def admits_json(accept: bytes | None) -> bool:
    """Whether an Accept header (None: absent) admits FHIR JSON of R4. Text that is no media range admits nothing."""
    if accept is None:
        return True
    return _admits_cached(accept) if len(accept) <= _MAX_CACHED else _admits(accept)


def means_json(value: str) -> bool:
    """Whether a value of `_format` asks for FHIR JSON of R4."""
    name, quality = _media_range(value)
    return quality > 0 and name in _JSON_IN_FORMAT


def is_form(content_type: bytes) -> bool:
    """Whether a Content-Type says a form in UTF-8 (R4 http.html 3.1.0.9)."""
    name, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    return name == "application/x-www-form-urlencoded" and all(
        parameter in {"charset=utf-8", 'charset="utf-8"'} for parameter in parameters
    )


def _admits(accept: bytes) -> bool:
    text = accept.decode("latin-1").strip()
    if not text:
        return True
    offered = [_media_range(one) for one in text.split(",")]
    for names in _RANGES:
        qualities = [quality for name, quality in offered if name in names]
        if qualities:
            return max(qualities) > 0
    return False


_admits_cached = lru_cache(maxsize=_MAX_CACHED)(_admits)


def _media_range(text: str) -> tuple[str, float]:
    """The name in lower case and the quality; no name for a range of another FHIR version or with a bad quality."""
    name, *parameters = text.lower().split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = (part.strip() for part in parameter.partition("="))
        if key == "q":
            if not _QUALITY.fullmatch(value):
                return "", 0.0
            quality = float(value)
        elif key == "fhirversion" and value.strip('"') not in _OUR_VERSIONS:
            return "", 0.0
    return name.strip(), quality
