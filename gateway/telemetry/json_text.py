"""Values as JSON text, whatever characters a client has sent."""

from functools import lru_cache

import orjson


def encode_json(value: object, options: int = 0) -> bytes:
    """JSON, by these options of orjson.

    Half a surrogate pair, which a claim may contain, becomes a question mark: strict parsers reject it even if it is
    escaped.
    """
    try:
        return orjson.dumps(value, option=options)
    except orjson.JSONEncodeError:
        return orjson.dumps(_replace_surrogates(value), option=options)


def _replace_surrogates(value: object) -> object:
    if isinstance(value, dict):
        return {name: _replace_surrogates(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_replace_surrogates(member) for member in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def encode_members(value: dict[str, object]) -> bytes:
    """The members of an object, without its braces."""
    return encode_json(value)[1:-1]


@lru_cache(256)
def encode_text(text: str) -> bytes:
    """A text that may repeat."""
    return encode_json(text)
