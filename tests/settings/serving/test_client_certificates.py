"""Certificates of clients: what must be given together, and how an app is registered with one."""

from pathlib import Path

import pytest

from gateway.settings.warnings import find_warnings
from tests.settings.configuration import LEAST, in_file, load, problems

HEADER = "listen: {trusted_proxies: [10.0.0.1], client_certificates: {header: Client-Cert}}\n"
APP = """\
smart_server:
  clients:
    - client_id: reports
      name: Reports
      grant_types: [client_credentials]
      scopes: system/Patient.rs
      type: %s
"""
BY_NAME, BY_THUMBPRINT = "tls-client-auth", "self-signed-tls-client-auth"
THUMBPRINT = "oBS2eLPrsHH6IRPvS3JF9e3Ug7HTcgLxTNDGW5C-mdc"
PLACE = "smart_server.clients[0]"


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        pytest.param(
            "listen: {client_certificates: {}}",
            "8: listen.client_certificates: needs listen.tls, or the header of a proxy that ends TLS",
            id="nobody who asks for certificates",
        ),
        pytest.param(
            "listen: {client_certificates: {header: Client-Cert}}",
            "8: listen.client_certificates.header: is believed of listen.trusted_proxies only, which is empty",
            id="a header of nobody",
        ),
        pytest.param(
            "listen: {trusted_proxies: [10.0.0.1], client_certificates: {header: 'Client Cert'}}",
            "8: listen.client_certificates.header: must be the name of a header: letters, digits and -",
            id="a header that cannot be",
        ),
        pytest.param(
            "listen: {tls: {certificate_file: FILE, key_file: FILE}, client_certificates: {}}",
            "8: listen.client_certificates.authorities_file: is required, because listen.tls asks by it",
            id="own TLS that could ask for nothing",
        ),
        pytest.param(
            "listen: {tls: {certificate_file: FILE}}", "8: listen.tls.key_file: is required", id="a certificate alone"
        ),
        pytest.param(
            APP % BY_THUMBPRINT + f"      certificate_thumbprints: [{THUMBPRINT}]",
            f"14: {PLACE}.type: is {BY_THUMBPRINT}, which needs listen.client_certificates: no certificate is seen "
            "here",
            id="an app whose certificate nobody sees",
        ),
        pytest.param(
            HEADER + APP % BY_NAME + "      tls_client_auth_san_dns: reports.example",
            "8: listen.client_certificates.authorities_file: is required by the app reports",
            id="an app whose authority nobody knows",
        ),
        pytest.param(
            HEADER + APP % BY_NAME,
            f"11: {PLACE}: of the type {BY_NAME} needs exactly one of tls_client_auth_subject_dn and "
            "tls_client_auth_san_dns and tls_client_auth_san_uri",
            id="a certificate without a name",
        ),
        pytest.param(
            HEADER + APP % BY_THUMBPRINT,
            f"11: {PLACE}: of the type {BY_THUMBPRINT} needs certificate_thumbprints",
            id="a self-signed one without a thumbprint",
        ),
        pytest.param(
            HEADER + APP % BY_THUMBPRINT + "      certificate_thumbprints: [aa:bb]",
            f"16: {PLACE}.certificate_thumbprints[0]: holds no SHA-256 in base64url without =, which has 43 characters",
            id="a thumbprint in another form",
        ),
        pytest.param(
            HEADER + APP % BY_NAME + "      tls_client_auth_subject_dn: reports",
            f"16: {PLACE}.tls_client_auth_subject_dn: must be a distinguished name as in RFC 4514, such as "
            "CN=app,O=Example",
            id="a subject that is none",
        ),
        pytest.param(
            APP % "public" + "      certificate_thumbprints: []",
            f"15: {PLACE}.certificate_thumbprints: is only for the type {BY_THUMBPRINT}",
            id="a thumbprint of an app of another type",
        ),
    ],
)
def test_an_addition_is_refused_with_its_line_and_a_sentence(added: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("")
    assert in_file(problem) in problems(tmp_path, LEAST + added.replace("FILE", str(file)) + "\n")


def test_an_app_with_a_certificate_is_a_client(tmp_path: Path) -> None:
    settings = load(tmp_path, LEAST + HEADER + APP % BY_THUMBPRINT + f"      certificate_thumbprints: [{THUMBPRINT}]\n")
    assert settings.smart_server is not None
    client = settings.smart_server.clients[0].to_client()
    assert client.is_confidential
    assert client.certificate_thumbprints == {THUMBPRINT}


def test_a_network_of_many_who_could_send_the_header_is_warned_about(tmp_path: Path) -> None:
    def warned(networks: str, header: str = ", client_certificates: {header: Client-Cert}") -> list[str]:
        settings = load(tmp_path, f"{LEAST}listen: {{trusted_proxies: [{networks}]{header}}}\n")
        return [".".join(map(str, warning.path)) for warning in find_warnings(settings)]

    assert warned("10.0.0.1, 10.0.1.0/24, '2001:db8::1'") == []
    assert warned("10.0.0.1, 10.0.0.0/8, '2001:db8::/64'") == ["listen.trusted_proxies.1", "listen.trusted_proxies.2"]
    assert warned("10.0.0.0/8", header="") == []
