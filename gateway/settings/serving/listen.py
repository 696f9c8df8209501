"""Settings of the public port: its address, TLS, the proxies in front, and the certificates of apps."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import CountOrZero, Network, Port, Text

# RFC 9110 5.6.2, without the signs that no proxy uses.
_FIELD_NAME = re.compile(r"[A-Za-z0-9\-]+")


def _check_field_name(value: str) -> str:
    if _FIELD_NAME.fullmatch(value) is None:
        raise ValueError("must be the name of a header: letters, digits and -")
    return value


class ListenTls(Section):
    """TLS on the public port, for a gateway without a proxy in front that ends it: 1.2 and 1.3."""

    certificate_file: Annotated[
        FilePath, Field(description="PEM file of the certificate, followed by those of its intermediate authorities.")
    ]
    key_file: Annotated[FilePath, Field(description="PEM file of its private key, without a password.")]
    hsts_seconds: Annotated[
        CountOrZero,
        Field(
            description="How long browsers shall insist on https for this host (`Strict-Transport-Security`); 0 for no "
            "such header."
        ),
    ] = 31_536_000


class ClientCertificates(Section):
    """Certificates by which backend services authenticate, and to which their tokens are bound (RFC 8705)."""

    authorities_file: Annotated[
        FilePath | None,
        Field(
            description="PEM file of the authorities that issue certificates of apps. For listen.tls it must also hold "
            "the self-signed certificates of apps. A changed file is in use within seconds."
        ),
    ] = None
    header: Annotated[
        Annotated[str, AfterValidator(_check_field_name)] | None,
        Field(
            description="The header in which a proxy of listen.trusted_proxies passes the certificate of the client, "
            "and removes what the client itself sent: PEM that is percent-encoded (nginx: `$ssl_client_escaped_cert`), "
            "base64 of DER, or `Client-Cert` of RFC 9440. Without it, listen.tls asks clients for their certificate."
        ),
    ] = None


class Listen(Section):
    """Where apps reach the gateway."""

    host: Annotated[Text, Field(description="The address to listen on; `0.0.0.0` for all addresses.")] = "127.0.0.1"
    port: Annotated[Port, Field(description="The port; 0 for any that is free.")] = 8080
    tls: Annotated[
        ListenTls | None,
        Field(
            description="TLS on this port; without it, plain HTTP for a proxy that ends TLS. Changed files are in use "
            "within seconds, without a restart."
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Field(
            description="Addresses and networks of the reverse proxies in front of the gateway. Only their `Forwarded` "
            "and `X-Forwarded-For` are believed, for the address of the client in limits, audit and log. Without "
            "them, behind a proxy, everyone has the address of the proxy."
        ),
    ] = ()
    client_certificates: Annotated[
        ClientCertificates | None,
        Field(description="Certificates of apps (mutual TLS); without it, no app can authenticate by one."),
    ] = None

    @conflict_rule
    def _no_source_of_certificates(self) -> Iterator[Conflict]:
        certificates = self.client_certificates
        if certificates is None:
            return
        if certificates.header is not None and not self.trusted_proxies:
            yield Conflict(
                ("client_certificates", "header"), "is believed of listen.trusted_proxies only, which is empty"
            )
        if certificates.header is None and self.tls is None:
            yield Conflict(("client_certificates",), "needs listen.tls, or the header of a proxy that ends TLS")
        if certificates.header is None and self.tls is not None and certificates.authorities_file is None:
            yield Conflict(("client_certificates", "authorities_file"), "is required, because listen.tls asks by it")
