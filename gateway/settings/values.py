"""The kinds of single values that settings have, each with the sentence that is said when a value does not fit."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, Strict

from gateway.scopes.resource_types import RESOURCE_TYPES

_VISIBLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[a-z0-9._\-]+|\[[0-9a-f:.]+\]")
_MIN_KEY_BYTES = 32
# The two invisible characters that the spelling of some languages needs (Unicode 23.2).
_NON_JOINER, _JOINER = "\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _line(value: str) -> str:
    seen = value.replace(_JOINER, "").replace(_NON_JOINER, "")
    if not seen.isprintable() or not seen.strip():
        raise ValueError("must be visible text on one line, without control characters")
    return value


def _secret(value: SecretStr) -> SecretStr:
    _text(value.get_secret_value())
    return value


def _word(value: str) -> str:
    if _VISIBLE.fullmatch(value) is None:
        raise ValueError("must be a word of visible ASCII characters, without spaces")
    return value


def _split(value: str) -> SplitResult:
    if _VISIBLE.fullmatch(value) is None:
        raise ValueError("must be a URL of visible ASCII characters, without spaces")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL with a host, and with a port up to 65535 if any") from None
    if parts.scheme not in {"http", "https"} or not value.startswith(f"{parts.scheme}://"):
        raise ValueError("must be an absolute URL that starts with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    host = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    if _HOST.fullmatch(host) is None:
        raise ValueError("must name its host in lower case")
    return parts


def _url(value: str) -> str:
    _split(value)
    if "#" in value:
        raise ValueError("must not have a fragment (#)")
    return value


def _base_url(value: str) -> str:
    _url(value)
    if "?" in value:
        raise ValueError("must not have a query (?)")
    if value.endswith("/"):
        raise ValueError("must not end with a slash")
    return value


def _origin(value: str) -> str:
    if value == "*":
        return value
    parts = _split(value)
    if value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be an origin: scheme, host and port alone, as in https://app.example.org")
    return value


def _resource_type(value: str) -> str:
    if value not in RESOURCE_TYPES:
        raise ValueError(f"must be a resource type of FHIR R4, and {value!r} is none")
    return value


def decode_key(value: SecretStr) -> bytes:
    """The bytes of a key in base64, of the plain or the URL-safe alphabet. Raises `ValueError`."""
    text = value.get_secret_value().strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError(f"must be base64 of at least {_MIN_KEY_BYTES} random bytes")
    return key


def _key(value: SecretStr) -> SecretStr:
    decode_key(value)
    return value


def read_only(value: Mapping[_Key, _Value]) -> Mapping[_Key, _Value]:
    """A view of the mapping that cannot be changed, since a frozen model does not freeze what it holds."""
    return MappingProxyType(dict(value))


def plain(value: Mapping[str, object]) -> dict[str, object]:
    """The mapping as pydantic can write it."""
    return {name: plain(inside) if isinstance(inside, Mapping) else inside for name, inside in value.items()}


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Flag = Annotated[bool, Strict()]
Text = Annotated[str, AfterValidator(_text)]
Line = Annotated[str, AfterValidator(_line)]
Word = Annotated[str, AfterValidator(_word)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
KeySecret = Annotated[SecretStr, AfterValidator(_key)]
Url = Annotated[str, AfterValidator(_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Origin = Annotated[str, AfterValidator(_origin)]
ResourceType = Annotated[str, AfterValidator(_resource_type)]
Port = Annotated[int, Strict(), Field(ge=0, le=65535)]
Count = Annotated[int, Strict(), Field(ge=1)]
CountOrNone = Annotated[int, Strict(), Field(ge=0)]
Seconds = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
