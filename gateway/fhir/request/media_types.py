"""Content negotiation: whether a client accepts FHIR JSON (R4 http.html 3.1.0.1.11, RFC 9110 12.5.1)."""

import re
from functools import lru_cache

# A raw `+` in a query decodes to a space, so `application/fhir+json` arrives as `application/fhir json`.
_JSON = frozenset({"application/fhir+json", "application/json", "text/json", "json"})
_JSON_BODIES = frozenset({"application/fhir+json", "application/json"})
_JSON_IN_FORMAT = _JSON | {"application/fhir json"}
# The most specific first: it overrides a wider range (RFC 9110 12.5.1).
_MEDIA_RANGES = (_JSON, frozenset({"application/*"}), frozenset({"*/*"}))
_R4_VERSIONS = frozenset({"4.0", "4.0.1"})
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_MAX_CACHED = 256


def accepts_json(accept: bytes | None) -> bool:
    """Whether an Accept header, None where absent, accepts FHIR JSON of R4. Invalid media ranges accept nothing."""
    if accept is None:
        return True
    return _accepts_json_cached(accept) if len(accept) <= _MAX_CACHED else _accepts_json(accept)


def accepts(accept: bytes, media_type: bytes) -> bool:
    """Whether an Accept header accepts this media type, whose parameters do not matter (RFC 9110 12.5.1)."""
    text = accept.decode("latin-1").strip()
    if not text:
        return True
    name = media_type.decode("latin-1").lower().partition(";")[0].strip()
    media_ranges = [_parse_media_range(media_range) for media_range in text.split(",")]
    for wider in (name, name.partition("/")[0] + "/*", "*/*"):
        qualities = [quality for media_range, quality in media_ranges if media_range == wider]
        if qualities:
            return max(qualities) > 0
    return False


def is_json_format(value: str) -> bool:
    """Whether a value of `_format` means FHIR JSON of R4."""
    name, quality = _parse_media_range(value)
    return quality > 0 and name in _JSON_IN_FORMAT


def is_json_content_type(content_type: bytes) -> bool:
    """Whether a Content-Type is FHIR JSON of R4 in UTF-8."""
    return _is_json_cached(content_type) if len(content_type) <= _MAX_CACHED else _is_json(content_type)


def _is_json(content_type: bytes) -> bool:
    name, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    if name not in _JSON_BODIES:
        return False
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset")]
    versions = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("fhirversion")]
    return all(charset in {"utf-8", "utf8"} for charset in charsets) and _R4_VERSIONS.issuperset(versions)


_is_json_cached = lru_cache(128)(_is_json)


def is_form_content_type(content_type: bytes) -> bool:
    """Whether a Content-Type is a form in UTF-8 (R4 http.html 3.1.0.9)."""
    name, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    return name == "application/x-www-form-urlencoded" and all(
        parameter in {"charset=utf-8", 'charset="utf-8"'} for parameter in parameters
    )


def is_json_patch_type(content_type: bytes) -> bool:
    """Whether a Content-Type is JSON Patch (RFC 6902 6), whose only encoding is UTF-8."""
    return content_type.decode("latin-1").lower().partition(";")[0].strip() == "application/json-patch+json"


def _accepts_json(accept: bytes) -> bool:
    text = accept.decode("latin-1").strip()
    if not text:
        return True
    media_ranges = [_parse_media_range(media_range) for media_range in text.split(",")]
    for names in _MEDIA_RANGES:
        qualities = [quality for name, quality in media_ranges if name in names]
        if qualities:
            return max(qualities) > 0
    return False


_accepts_json_cached = lru_cache(maxsize=_MAX_CACHED)(_accepts_json)


def _parse_media_range(text: str) -> tuple[str, float]:
    """The name in lower case and the quality. The name is empty for another FHIR version or an invalid quality."""
    name, *parameters = text.lower().split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = (part.strip() for part in parameter.partition("="))
        if key == "q":
            if not _QUALITY.fullmatch(value):
                return "", 0.0
            quality = float(value)
        elif key == "fhirversion" and value.strip('"') not in _R4_VERSIONS:
            return "", 0.0
    return name.strip(), quality
