"""Settings that are valid and with which the gateway starts, but that are probably not meant."""

import ipaddress
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.settings.enforcement.shadow import find_open_entries
from gateway.settings.model import Settings
from gateway.settings.section import Conflict
from gateway.settings.setting_types import is_loopback

# More addresses than the proxies of one gateway have.
_MOST_PROXIES = 256


def find_warnings(settings: Settings) -> Iterator[Conflict]:
    """The settings to look at again, each with a sentence."""
    for index, issuer in enumerate(settings.issuers):
        if settings.public_base_url not in issuer.audiences:
            yield Conflict(
                ("issuers", index, "audiences"),
                f"does not hold {settings.public_base_url}, the public_base_url: tokens that are issued for another "
                "server are accepted",
            )
    listen = settings.listen
    if settings.public_base_url.startswith("https://") and not listen.trusted_proxies and listen.tls is None:
        yield Conflict(
            ("listen", "trusted_proxies"),
            "is empty, but a proxy must stand in front, because public_base_url is https: all clients then have the "
            "address of the proxy, and share its limits",
        )
    yield from _wide_networks(settings)
    yield from _shared_cookies(settings)
    for index, client in enumerate(settings.smart_server.clients if settings.smart_server else ()):
        if client.to_client().is_unproven:
            yield Conflict(
                ("smart_server", "clients", index, "require_pkce"),
                f"is false, and {client.client_id} is public: whoever sees a code of this app can redeem it",
            )
    yield from find_open_entries(settings, time.time())
    if settings.development and not _is_this_machine(settings.listen.host):
        yield Conflict(
            ("development",), f"is true, and listen.host is {settings.listen.host}, which other machines can reach"
        )


def _shared_cookies(settings: Settings) -> Iterator[Conflict]:
    """Browsers tell cookies apart by the host, and not by the port (RFC 6265 8.5)."""
    admin = settings.admin
    if admin.port is None or admin.base_url is None:
        return
    if urlsplit(admin.base_url).hostname == urlsplit(settings.public_base_url).hostname:
        yield Conflict(
            ("admin", "base_url"),
            "has the host of public_base_url, so that browsers send the cookies of administrators to both; a name of "
            "its own keeps them apart",
        )


def _wide_networks(settings: Settings) -> Iterator[Conflict]:
    """A header with a certificate is the whole proof of an app, and certificates are no secrets."""
    certificates = settings.listen.client_certificates
    if certificates is None or certificates.header is None:
        return
    for index, text in enumerate(settings.listen.trusted_proxies):
        network = ipaddress.ip_network(text)
        if network.num_addresses > _MOST_PROXIES:
            yield Conflict(
                ("listen", "trusted_proxies", index),
                f"has {network.num_addresses} addresses: whoever has one of them can send any certificate of an app in "
                "listen.client_certificates.header, and is that app",
            )


def _is_this_machine(host: str) -> bool:
    return is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}")
