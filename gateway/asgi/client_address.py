"""The client's address behind reverse proxies (RFC 7239), and the blocks of addresses that limits count together."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.asgi.types import Header, Scope

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Proxies in a chain. Each has to be trusted, so only a misconfigured chain is longer.
_MAX_HOPS = 32
# Bytes. Longer header fields are read again at each request, so that the cache stays small.
_MAX_CACHED_FIELD = 256
_FORWARDED, _X_FORWARDED_FOR = b"forwarded", b"x-forwarded-for"

# RFC 7239 6: an address with or without a port. The brackets of an IPv6 address without a port may be missing, as
# X-Forwarded-For has them. No zone, which may be any text.
_PORT = r"(?::(?:\d{1,5}|_[A-Za-z0-9._\-]+))?"
_IPV6 = r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+"
_NODE = re.compile(rf"(?P<v4>[0-9.]{{7,15}}){_PORT}|\[(?P<bracketed>{_IPV6})\]{_PORT}|(?P<v6>{_IPV6})")
# RFC 7239 4, but a quoted string has no comma: neither an address has one, nor a value that proxies send.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR = re.compile(rf'({_TOKEN})=({_TOKEN}|"(?:[^"\\,]|\\[^,])*")')


class TrustedProxies:
    """The proxies whose header fields are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks` are addresses and networks such as `10.0.0.0/8`."""
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._find_cached = lru_cache(4096)(self._find)

    def trusts(self, peer: str) -> bool:
        """Whether the peer of a connection is one of them."""
        address = _parse_address(peer)
        return address is not None and _is_trusted(address, self._networks)

    def set_client(self, scope: Scope) -> None:
        """Replace the peer of a request by its client, in `scope["client"]`, so that everything else sees the client.

        The port of the client is not known and becomes 0.
        """
        peer = scope.get("client")
        if peer is None:
            return
        forwarded = _join_fields(scope["headers"], _FORWARDED)
        x_forwarded_for = _join_fields(scope["headers"], _X_FORWARDED_FOR)
        find = self._find if len(forwarded) + len(x_forwarded_for) > _MAX_CACHED_FIELD else self._find_cached
        scope["client"] = (find(peer[0], forwarded, x_forwarded_for), 0)

    def _find(self, peer: str, forwarded: bytes, x_forwarded_for: bytes) -> str:
        return find_client_address(peer, forwarded.decode("latin-1"), x_forwarded_for.decode("latin-1"), self._networks)


def find_client_address(peer: str, forwarded: str, x_forwarded_for: str, trusted: tuple[IpNetwork, ...]) -> str:
    """The address of the client: the last one that the chain of trusted proxies vouches for.

    `peer` is the address of the connection. `forwarded` and `x_forwarded_for` are the header fields, joined by commas
    where they are repeated, and empty where there are none. Each proxy adds an element at the right, so the chain is
    read from the right: an element counts if its writer is trusted. It ends before an element that names no address.

    Proxies write one of the two fields and pass on the other as the client sent it. Where both are there and do not
    agree, nobody knows which one the proxy wrote. The result is then the peer.
    """
    address = _parse_address(peer)
    if address is None:
        return peer
    chains: tuple[Sequence[str | None], ...] = (_forwarded_nodes(forwarded), _split_from_right(x_forwarded_for))
    ends = {_follow_chain(address, chain, trusted) for chain in chains if chain}
    return str(ends.pop() if len(ends) == 1 else address)


def _follow_chain(peer: IpAddress, nodes: Sequence[str | None], trusted: tuple[IpNetwork, ...]) -> IpAddress:
    """The last address of the chain whose nodes are given from the right."""
    address = peer
    for node in nodes:
        previous = None if node is None or not _is_trusted(address, trusted) else _parse_node(node)
        if previous is None:
            break
        address = previous
    return address


def _is_trusted(address: IpAddress, trusted: tuple[IpNetwork, ...]) -> bool:
    return any(address in network for network in trusted)


def _join_fields(headers: Iterable[Header], name: bytes) -> bytes:
    return b",".join(value for field, value in headers if field == name)


def _split_from_right(text: str) -> list[str]:
    """The elements from the right; nothing for an empty field. Not more than can be a chain."""
    if not text.strip():
        return []
    elements = text.rsplit(",", _MAX_HOPS)
    return [element.strip(" \t") for element in elements[: -_MAX_HOPS - 1 : -1]]


def _forwarded_nodes(text: str) -> list[str | None]:
    """The value of `for` of each element from the right; None for an element without one, or that is malformed.

    The elements are split at every comma, within quotes too: a quote that the client left open must not hide what a
    proxy added.
    """
    return [_read_for(element) for element in _split_from_right(text)]


def _read_for(element: str) -> str | None:
    """The value of `for`, which may be there once (RFC 7239 4)."""
    values = []
    for pair in element.split(";"):
        match = _PAIR.fullmatch(pair.strip(" \t"))
        if match is None:
            return None
        if match[1].lower() == "for":
            values.append(match[2])
    return values[0].strip('"') if len(values) == 1 else None


def _parse_node(node: str) -> IpAddress | None:
    """The address of a node; None for `unknown`, for an obfuscated name, and for what is no address."""
    match = _NODE.fullmatch(node)
    return None if match is None else _parse_address(match["v4"] or match["bracketed"] or match["v6"])


def _parse_address(text: str) -> IpAddress | None:
    """The address. One that maps an IPv4 address to IPv6 (RFC 4291 2.5.5.2) is that IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def address_block(address: str) -> str:
    """The addresses that one host can have: an IPv4 address alone, and the /64 of an IPv6 address (RFC 4291 2.5.4)."""
    return _block(address, 32)


def network_block(address: str) -> str:
    """The addresses of one network: the /24 of an IPv4 address, and the /64 of an IPv6 address."""
    return _block(address, 24)


def _block(address: str, ipv4_prefix: int) -> str:
    parsed = _parse_address(address)
    if parsed is None:
        return address
    prefix = ipv4_prefix if parsed.version == 4 else 64
    return str(ipaddress.ip_network((parsed.packed, prefix), strict=False))
