"""The types of single values, each with the sentence that is reported when a value is not valid."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, Strict, WithJsonSchema

from gateway.scopes.resource_types import RESOURCE_TYPES

_VISIBLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[a-z0-9._\-]+|\[[0-9a-f:.]+\]")
_ARGON2_HASH = re.compile(r"\$argon2(id|i|d)(\$v=\d+)?\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
# How the store keeps random secrets (`gateway.oauth.client.client.digest_secret`).
_SHA256_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MIN_KEY_BYTES = 32
# RFC 3339, with a time and a zone.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)
# What requests to the FHIR server can be built on, and what a route can be made of.
_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*")
# The two invisible characters that the spelling of some languages requires (Unicode 23.2).
_NON_JOINER, _JOINER = "\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _check_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _check_line(value: str) -> str:
    visible = value.replace(_JOINER, "").replace(_NON_JOINER, "")
    if not visible.isprintable() or not visible.strip():
        raise ValueError("must be visible text on one line, without control characters")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    _check_text(value.get_secret_value())
    return value


def _check_argon2_hash(value: str) -> str:
    if _ARGON2_HASH.fullmatch(value) is None:
        raise ValueError("must be an argon2 hash, which begins with $argon2; `users add --print-hash` prints one")
    return value


def _check_secret_hash(value: str) -> str:
    if _SHA256_DIGEST.fullmatch(value) is None:
        _check_argon2_hash(value)
    return value


def _check_token_hash(value: str) -> str:
    if _SHA256_DIGEST.fullmatch(value) is None:
        raise ValueError("must be sha256: and 64 hexadecimal digits; `admin token` prints a token and its hash")
    return value


def _check_word(value: str) -> str:
    if _VISIBLE.fullmatch(value) is None:
        raise ValueError("must be a word of visible ASCII characters, without spaces")
    return value


def _split_url(value: str) -> SplitResult:
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


def _check_url(value: str) -> str:
    _split_url(value)
    if "#" in value:
        raise ValueError("must not have a fragment (#)")
    return value


def _check_base_url(value: str) -> str:
    _check_url(value)
    if "?" in value:
        raise ValueError("must not have a query (?)")
    if value.endswith("/"):
        raise ValueError("must not end with a slash")
    if _PATH.fullmatch(urlsplit(value).path) is None:
        raise ValueError("must have a path without //, and without characters that a URL must percent-encode")
    return value


def _check_origin(value: str) -> str:
    if value == "*":
        return value
    parts = _split_url(value)
    if value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be an origin: scheme, host and port alone, as in https://app.example.org")
    return value


def _check_network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(
            "must be an IP address, or a network such as 10.0.0.0/8 whose address has no bits beyond its prefix"
        ) from None
    if network.prefixlen == 0:
        raise ValueError("must not be every address, because anyone could then claim to come from any other")
    return value


def _check_moment(value: str) -> str:
    if _MOMENT.fullmatch(value) is not None:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise ValueError("must be a date and a time with its zone, such as 2027-01-31T18:00:00Z")


def _check_resource_type(value: str) -> str:
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


def _check_key(value: SecretStr) -> SecretStr:
    decode_key(value)
    return value


def to_read_only(value: Mapping[_Key, _Value]) -> Mapping[_Key, _Value]:
    """A copy of the mapping that cannot be changed, because a frozen model does not freeze its values."""
    return MappingProxyType(dict(value))


def to_plain_dict(value: Mapping[str, object]) -> dict[str, object]:
    """The mapping as dicts, which pydantic can serialise."""
    return {name: to_plain_dict(member) if isinstance(member, Mapping) else member for name, member in value.items()}


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine. An IPv4-mapped address is not, on any version of Python."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    return address.is_loopback and not is_mapped


def _described(**keywords: object) -> WithJsonSchema:
    """What the JSON Schema of the Helm chart says of a text. The validator beside it says all of it."""
    return WithJsonSchema({"type": "string", **keywords})


Flag = Annotated[bool, Strict()]
Text = Annotated[str, AfterValidator(_check_text), _described(pattern=r"\S")]
Line = Annotated[str, AfterValidator(_check_line), _described(pattern=r"\S")]
Word = Annotated[str, AfterValidator(_check_word), _described(pattern=r"^[!-~]+$")]
Argon2Hash = Annotated[str, AfterValidator(_check_argon2_hash), _described(pattern=r"^\$argon2")]
SecretHash = Annotated[str, AfterValidator(_check_secret_hash), _described(pattern=r"^(\$argon2|sha256:)")]
TokenHash = Annotated[str, AfterValidator(_check_token_hash), _described(pattern=r"^sha256:[0-9a-f]{64}$")]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
KeySecret = Annotated[SecretStr, AfterValidator(_check_key)]
Url = Annotated[str, AfterValidator(_check_url), _described(pattern=r"^https?://[^/@#]+(/[^#]*)?$")]
BaseUrl = Annotated[str, AfterValidator(_check_base_url), _described(pattern=r"^https?://[^/@#?]+(/[^#?]*[^/#?])?$")]
Origin = Annotated[str, AfterValidator(_check_origin), _described(pattern=r"^(\*|https?://[^/@#?]+)$")]
Network = Annotated[str, AfterValidator(_check_network), _described(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]+)?$")]
Moment = Annotated[
    str,
    AfterValidator(_check_moment),
    _described(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})$"),
]
ResourceType = Annotated[str, AfterValidator(_check_resource_type), _described(enum=sorted(RESOURCE_TYPES))]
Port = Annotated[int, Strict(), Field(ge=0, le=65535)]
Count = Annotated[int, Strict(), Field(ge=1)]
CountOrZero = Annotated[int, Strict(), Field(ge=0)]
Seconds = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
