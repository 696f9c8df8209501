"""The address of the FHIR server, parsed from its base URL."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_PATH = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*")
_HOST = re.compile(r"[A-Za-z0-9\-._]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Host and port to connect to, the `Host` field, and the path that every request target starts with."""

    tls: bool
    host: str
    port: int
    host_field: bytes
    base_path: bytes

    @classmethod
    def parse(cls, base_url: str) -> "ServerAddress":
        """Parse an absolute http or https URL without user information, query or fragment. Raises `ValueError`.

        A trailing slash is dropped: `base_path` is empty, or starts with a slash and does not end with one.
        """
        if not base_url.isascii() or any(character <= " " or character == "\x7f" for character in base_url):
            raise ValueError(f"The upstream address {base_url!r} holds characters that a URL cannot hold.")
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"The upstream address {base_url!r} must start with http:// or https://.")
        if "@" in parts.netloc:
            # Not repeated in the message: it may hold a password.
            raise ValueError("The upstream address must not hold user information.")
        if "?" in base_url or "#" in base_url:
            raise ValueError(f"The upstream address {base_url!r} must not hold a query or a fragment.")
        host = parts.hostname or ""
        if _HOST.fullmatch(host) is None:
            raise ValueError(f"The upstream address {base_url!r} names no host.")
        path = parts.path.removesuffix("/")
        if _PATH.fullmatch(path) is None:
            raise ValueError(f"The path of the upstream address {base_url!r} is not one that requests can be built on.")
        tls = parts.scheme == "https"
        default = 443 if tls else 80
        try:
            port = parts.port if parts.port is not None else default
        except ValueError:
            raise ValueError(f"The upstream address {base_url!r} has a port that is no number up to 65535.") from None
        name = f"[{host}]" if ":" in host else host
        field = name if port == default else f"{name}:{port}"
        return cls(tls=tls, host=host, port=port, host_field=field.encode(), base_path=path.encode())
