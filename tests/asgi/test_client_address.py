"""The client's address behind proxies: chains that are honest, malformed, spoofed, and arbitrary."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asgi.client_address import TrustedProxies, address_block, find_client_address, network_block

TRUSTED = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "2001:db8:f::/48", "203.0.113.7")))
PROXY = "10.0.0.1"
LONG = ", ".join(["10.0.0.2"] * 5000)

# Peer, Forwarded, X-Forwarded-For, and the address of the client.
CHAINS = {
    "no proxy and no header": ("192.0.2.1", "", "", "192.0.2.1"),
    "a proxy that adds nothing": (PROXY, "", "", PROXY),
    "a header from nobody trusted": ("192.0.2.1", "", "198.51.100.1", "192.0.2.1"),
    "Forwarded from nobody trusted": ("192.0.2.1", "for=198.51.100.1", "", "192.0.2.1"),
    "a trusted network": (PROXY, "", "192.0.2.1", "192.0.2.1"),
    "a trusted address": ("203.0.113.7", "", "192.0.2.1", "192.0.2.1"),
    "beside a trusted address": ("203.0.113.8", "", "192.0.2.1", "203.0.113.8"),
    "two proxies": (PROXY, "", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
    "two proxies of two kinds": ("2001:db8:f::1", "", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
    "what the client claimed before the proxies": (PROXY, "", "198.51.100.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
    "a client that claims to be a proxy": (PROXY, "", "198.51.100.9, 10.0.0.9, 192.0.2.1", "192.0.2.1"),
    "a client within the trusted network": (PROXY, "", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    "a port": (PROXY, "", "192.0.2.1:4711", "192.0.2.1"),
    "a port that is too long": (PROXY, "", "192.0.2.1:471100", PROXY),
    "IPv6": (PROXY, "", "2001:DB8::0:1", "2001:db8::1"),
    "IPv6 in brackets": (PROXY, "", "[2001:db8::1]", "2001:db8::1"),
    "IPv6 in brackets with a port": (PROXY, "", "[2001:db8::1]:443", "2001:db8::1"),
    "IPv4 in brackets": (PROXY, "", "[192.0.2.1]", PROXY),
    "a bracket that stays open": (PROXY, "", "[2001:db8::1", PROXY),
    "IPv6 with a zone": (PROXY, "", "fe80::1%eth0", PROXY),
    "IPv6 with a zone that is text": (PROXY, "", 'fe80::1%"><script>', PROXY),
    "IPv4 mapped to IPv6": (PROXY, "", "::ffff:192.0.2.1", "192.0.2.1"),
    "a proxy that is IPv4 mapped to IPv6": ("::ffff:10.0.0.1", "", "192.0.2.1", "192.0.2.1"),
    "unknown": (PROXY, "", "unknown", PROXY),
    "unknown before a proxy": (PROXY, "", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
    "text": (PROXY, "", "localhost", PROXY),
    "an octet too large": (PROXY, "", "192.0.2.256", PROXY),
    "an octet with a zero before it": (PROXY, "", "192.0.2.01", PROXY),
    "an address as a number": (PROXY, "", "3221225985", PROXY),
    "an element without a value at the end": (PROXY, "", "192.0.2.1,", PROXY),
    "an element without a value before": (PROXY, "", ",192.0.2.1", "192.0.2.1"),
    "an element without a value between": (PROXY, "", "192.0.2.1, , 10.0.0.2", "10.0.0.2"),
    "a quoted address in X-Forwarded-For": (PROXY, "", '"192.0.2.1"', PROXY),
    "tabs and spaces": (PROXY, "", " \t192.0.2.1\t ", "192.0.2.1"),
    "spaces alone": (PROXY, "", "  ", PROXY),
    "a chain longer than any": (PROXY, "", f"192.0.2.1, {LONG}", "10.0.0.2"),
    "a claimed chain longer than any": (PROXY, "", f"{LONG}, 192.0.2.1", "192.0.2.1"),
    "Forwarded": (PROXY, "for=192.0.2.1", "", "192.0.2.1"),
    "Forwarded in capitals, with other parameters": (PROXY, "By=10.0.0.9;FOR=192.0.2.1;proto=https", "", "192.0.2.1"),
    "Forwarded with spaces around its parameters": (PROXY, "for=192.0.2.1 ; proto=https", "", "192.0.2.1"),
    "Forwarded, quoted, with a port": (PROXY, 'for="192.0.2.1:4711"', "", "192.0.2.1"),
    "Forwarded with an obfuscated port": (PROXY, 'for="192.0.2.1:_x-1"', "", "192.0.2.1"),
    "Forwarded, IPv6": (PROXY, 'for="[2001:db8::1]:4711"', "", "2001:db8::1"),
    "Forwarded through two proxies": (PROXY, 'for=192.0.2.1, for="[2001:db8:f::2]"', "", "192.0.2.1"),
    "Forwarded, unknown": (PROXY, "for=unknown", "", PROXY),
    "Forwarded, obfuscated": (PROXY, 'for=192.0.2.1, for="_hidden"', "", PROXY),
    "Forwarded without for": (PROXY, "for=192.0.2.1, proto=https", "", PROXY),
    "Forwarded with for twice": (PROXY, "for=192.0.2.1;for=192.0.2.2", "", PROXY),
    "Forwarded without a value": (PROXY, "for=", "", PROXY),
    "Forwarded that is a list of addresses": (PROXY, "192.0.2.1", "", PROXY),
    "a quote that the client left open": (PROXY, 'for="198.51.100.9, for=192.0.2.1', "", "192.0.2.1"),
    "a quote left open before a quoted one": (PROXY, 'for="x, for="[2001:db8::1]"', "", "2001:db8::1"),
    "a quote left open with an escape": (PROXY, 'for="\\, for="[2001:db8::1]"', "", "2001:db8::1"),
    "a semicolon left at the end": (PROXY, "for=192.0.2.1;", "", PROXY),
    "both, and they agree": (PROXY, "for=192.0.2.1", "192.0.2.1", "192.0.2.1"),
    "both, and they agree in what counts": (PROXY, "for=192.0.2.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
    "both, one by the proxy and one by the client": (PROXY, "for=198.51.100.9", "192.0.2.1", PROXY),
    "both, one malformed": (PROXY, "for", "192.0.2.1", PROXY),
    "a peer that is no address": ("testclient", "for=192.0.2.1", "192.0.2.1", "testclient"),
}  # fmt: skip


@pytest.mark.parametrize(("peer", "forwarded", "x_forwarded_for", "expected"), CHAINS.values(), ids=CHAINS)
def test_a_chain_is_read_from_the_right_as_far_as_it_is_trusted(
    peer: str, forwarded: str, x_forwarded_for: str, expected: str
) -> None:
    assert find_client_address(peer, forwarded, x_forwarded_for, TRUSTED) == expected


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(
    lambda address: not any(address in network for network in TRUSTED) and getattr(address, "ipv4_mapped", None) is None
)
_HEADERS = st.one_of(
    st.text(alphabet=st.characters(max_codepoint=255), max_size=80),
    st.text(alphabet='for=,;"\\[]:. 10abunkow_', max_size=80),
    st.lists(st.sampled_from(["for=10.0.0.2", '"', "10.0.0.2", "for=unknown", "_x", "[::1]:1"])).map(",".join),
)


@given(claimed=_HEADERS, client=_ADDRESSES)
def test_nothing_that_a_client_sends_changes_what_the_proxies_added(
    claimed: str, client: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    node = f'"[{client}]"' if client.version == 6 else str(client)
    added, forwarded = f"{client}, 10.0.0.2", f'for={node};proto=https, for="10.0.0.2:443"'
    for before in ("", claimed + ",", claimed + " , "):
        assert find_client_address(PROXY, "", before + added, TRUSTED) == str(client)
        assert find_client_address(PROXY, before + forwarded, "", TRUSTED) == str(client)


@given(forwarded=_HEADERS, x_forwarded_for=_HEADERS)
def test_who_connects_directly_is_who_connects(forwarded: str, x_forwarded_for: str) -> None:
    assert find_client_address("192.0.2.1", forwarded, x_forwarded_for, TRUSTED) == "192.0.2.1"


@given(forwarded=_HEADERS, x_forwarded_for=_HEADERS)
def test_whatever_is_sent_the_result_is_an_address(forwarded: str, x_forwarded_for: str) -> None:
    ipaddress.ip_address(find_client_address(PROXY, forwarded, x_forwarded_for, TRUSTED))


@pytest.mark.parametrize("repeated", [3, 400], ids=["fields that are cached", "fields that are too long for it"])
def test_repeated_headers_are_one_chain_in_their_order(repeated: int) -> None:
    claims = [(b"x-forwarded-for", b"198.51.100.9")] * repeated
    scope = {"client": (PROXY, 5), "headers": [*claims, (b"accept", b"*/*"), (b"x-forwarded-for", b"192.0.2.1")]}
    TrustedProxies(["10.0.0.0/8"]).set_client(scope)
    assert scope["client"] == ("192.0.2.1", 0)


@pytest.mark.parametrize("scope", [{"type": "lifespan"}, {"type": "http", "client": None, "headers": []}])
def test_without_a_peer_there_is_no_client(scope: dict[str, object]) -> None:
    before = dict(scope)
    TrustedProxies(["10.0.0.0/8"]).set_client(scope)
    assert scope == before


@pytest.mark.parametrize(
    ("address", "block", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/64"),
        ("nowhere", "nowhere", "nowhere"),
    ],
)
def test_addresses_of_one_host_and_of_one_network_are_counted_together(address: str, block: str, network: str) -> None:
    assert (address_block(address), network_block(address)) == (block, network)
