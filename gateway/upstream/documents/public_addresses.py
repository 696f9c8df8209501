"""Which IP addresses belong to the public Internet."""

import ipaddress

# In addition to what `is_global` excludes: IPv6 addresses that are translated to IPv4 ones.
_TRANSLATION_NETWORKS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the public Internet, so that it cannot be inside the operator's network."""
    if isinstance(address, ipaddress.IPv6Address):
        ipv4 = address.ipv4_mapped or address.sixtofour
        if ipv4 is not None:
            return is_public(ipv4)
        if address.teredo is not None or any(address in network for network in _TRANSLATION_NETWORKS):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
