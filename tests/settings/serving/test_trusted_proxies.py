"""Problems in the list of trusted proxies."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, load, problems

_MALFORMED = "must be an IP address, or a network such as 10.0.0.0/8 whose address has no bits beyond its prefix"
_EVERYONE = "must not be every address, because anyone could then claim to come from any other"

WRONG = {
    "a name": ("proxy.internal", _MALFORMED),
    "a network with bits beyond its prefix": ("10.0.0.1/8", _MALFORMED),
    "a prefix that is too long": ("10.0.0.0/33", _MALFORMED),
    "an address with a port": ("10.0.0.1:80", _MALFORMED),
    "every IPv4 address": ("0.0.0.0/0", _EVERYONE),
    "every IPv6 address": ("::/0", _EVERYONE),
    "everyone": ("*", _MALFORMED),
}


@pytest.mark.parametrize(("network", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_no_network_is_refused(tmp_path: Path, network: str, sentence: str) -> None:
    text = f'{LEAST}listen: {{trusted_proxies: ["192.0.2.1", "{network}"]}}\n'
    (problem,) = problems(tmp_path, text)
    assert problem.endswith(f"listen.trusted_proxies[1]: {sentence}")


def test_addresses_and_networks_of_both_kinds_are_accepted(tmp_path: Path) -> None:
    networks = ("192.0.2.1", "10.0.0.0/8", "::1", "2001:db8::/32")
    text = f"{LEAST}listen: {{trusted_proxies: [{', '.join(f'{network!r}' for network in networks)}]}}\n"
    assert load(tmp_path, text).listen.trusted_proxies == networks
