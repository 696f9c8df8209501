"""The certificate that a proxy passes on: in which forms, and from whom."""

import base64
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asgi.client_address import TrustedProxies
from gateway.asgi.client_certificate import (
    CertificateHeader,
    client_certificate,
    is_presented_with,
    read_certificate_field,
)
from gateway.asgi.types import CLIENT_CERTIFICATE, Scope
from gateway.certificates.thumbprint import certificate_thumbprint

DER = b"\x30\x82" + bytes(range(120))
BASE64 = base64.b64encode(DER).decode()
PEM = "-----BEGIN CERTIFICATE-----\n" + "\n".join([BASE64[:64], BASE64[64:]]) + "\n-----END CERTIFICATE-----\n"
HEADER = CertificateHeader("Client-Cert", TrustedProxies(["10.0.0.0/8"]))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(quote(PEM), id="percent-encoded PEM, as nginx writes it"),
        pytest.param(quote(PEM, safe=""), id="with every sign encoded"),
        pytest.param(f":{BASE64}:", id="RFC 9440"),
        pytest.param(BASE64, id="base64 of DER"),
        pytest.param(quote(BASE64, safe=""), id="base64 of DER, percent-encoded"),
    ],
)
def test_a_form_that_is_read(value: str) -> None:
    assert read_certificate_field(value.encode()) == DER


@pytest.mark.parametrize(
    "value",
    ["", "(null)", "none", ":", "::", "Subject=CN", BASE64 + ",", quote(PEM + PEM), f":{BASE64}", "A" * 40_000],
)
def test_anything_else_is_no_certificate(value: str) -> None:
    assert read_certificate_field(value.encode()) is None


@given(st.binary(max_size=400))
def test_no_value_breaks_the_reading(value: bytes) -> None:
    content = read_certificate_field(value)
    assert content is None or content


def request(peer: str | None, *values: str, own: bytes | None = None) -> dict[str, Any]:
    headers = [(b"client-cert", value.encode()) for value in values]
    client = None if peer is None else (peer, 1234)
    return {"client": client, "headers": headers, "extensions": {"other": 1, CLIENT_CERTIFICATE: own}}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param(request("10.1.2.3", BASE64), DER, id="a trusted proxy is believed"),
        pytest.param(request("11.1.2.3", BASE64), None, id="anybody else is not"),
        pytest.param(request("nowhere", BASE64), None, id="nor is a peer without an address"),
        pytest.param(request(None, BASE64), None, id="nor a request without a peer"),
        pytest.param(request("10.1.2.3"), None, id="a client without a certificate has none"),
        pytest.param(request("10.1.2.3", BASE64, BASE64), None, id="of two headers none counts"),
        pytest.param(request("10.1.2.3", own=DER), None, id="the certificate of the proxy is not that of its client"),
        pytest.param(request("11.1.2.3", own=DER), None, id="nor one that came past the proxy"),
    ],
)
def test_whose_header_counts(scope: dict[str, Any], expected: bytes | None) -> None:
    before = scope["extensions"]
    HEADER.set_certificate(scope)
    assert client_certificate(scope) == expected
    assert scope["extensions"]["other"] == 1
    assert scope["extensions"] is not before, "requests of one connection are of several clients"


def test_a_bound_token_needs_its_certificate_and_another_one_needs_none() -> None:
    with_certificate: Scope = {"extensions": {CLIENT_CERTIFICATE: DER}}
    without: Scope = {"extensions": {}}
    assert is_presented_with(None, without)
    assert is_presented_with(None, with_certificate)
    assert is_presented_with(certificate_thumbprint(DER), with_certificate)
    assert not is_presented_with(certificate_thumbprint(DER), without)
    assert not is_presented_with(certificate_thumbprint(DER), {})
    assert not is_presented_with(certificate_thumbprint(DER + b"x"), with_certificate)
    assert not is_presented_with("", with_certificate)
