"""The commands `clients`: the registered apps of a running gateway."""

import json
from pathlib import Path
from typing import Literal

from cyclopts import App

from gateway.commands.options import AddressOption, ConfigOption, admin_api, fail

ClientType = Literal[
    "public", "confidential-symmetric", "confidential-asymmetric", "tls-client-auth", "self-signed-tls-client-auth"
]

clients = App(name="clients", help="The registered apps of the running gateway.")


@clients.command(name="add")
def add_client(  # noqa: PLR0913 - each is an option of the command line
    *,
    name: str,
    config: ConfigOption = None,
    address: AddressOption = None,
    client_id: str | None = None,
    type: ClientType = "public",
    redirect_uri: list[str] | None = None,
    launch_uri: list[str] | None = None,
    scopes: str | None = None,
    jwks_uri: str | None = None,
    jwks_file: Path | None = None,
    san_dns: str | None = None,
    san_uri: str | None = None,
    certificate_file: Path | None = None,
    backend: bool = False,
    introspect: bool = False,
    purpose: str = "",
    replace: bool = False,
) -> None:
    """Register an app. Prints its client_id, and the secret of a confidential-symmetric app, which is shown only once.

    Parameters
    ----------
    name
        The name that users see.
    client_id
        Its client id; a random one if left out.
    type
        How it authenticates: not at all, by a shared secret, by a key of its own, or by a certificate.
    redirect_uri
        Where authorization responses go; may be given several times.
    launch_uri
        Where an EHR opens it; may be given several times.
    scopes
        The most it may be granted.
    jwks_uri
        Where a confidential-asymmetric app publishes its keys.
    jwks_file
        A file with its public keys, if it publishes none.
    san_dns
        The DNS name in the certificate of a tls-client-auth app.
    san_uri
        Or the URI in it.
    certificate_file
        The certificate of a self-signed-tls-client-auth app, as PEM.
    backend
        A backend service: client_credentials instead of a user's grant.
    introspect
        A resource server that only introspects tokens: no grant, and no redirect URI.
    purpose
        What it is for, in a sentence for its users.
    replace
        Replace the app of this client id; without this, a known client id is refused.
    """
    from gateway.commands.admin_api_client import printable_json  # noqa: PLC0415 - needs an HTTP client

    options = {
        "name": name,
        "client_id": client_id,
        "type": type,
        "redirect_uris": redirect_uri,
        "launch_uris": launch_uri,
        "scopes": scopes,
        "jwks_uri": jwks_uri,
        "jwks": _read_jwks(jwks_file),
        "tls_client_auth_san_dns": san_dns,
        "tls_client_auth_san_uri": san_uri,
        "certificate_thumbprints": _read_thumbprints(certificate_file),
        "grant_types": ["client_credentials"] if backend else [] if introspect else None,
        "may_introspect": introspect or None,
        "purpose": purpose or None,
    }
    body = {key: value for key, value in options.items() if value is not None}
    with admin_api(config, address) as api:
        print(printable_json(api.request("POST", "/clients?replace=true" if replace else "/clients", body)))


@clients.command(name="update")
def update_client(  # noqa: PLR0913 - each is an option of the command line
    client_id: str,
    *,
    config: ConfigOption = None,
    address: AddressOption = None,
    name: str | None = None,
    redirect_uri: list[str] | None = None,
    launch_uri: list[str] | None = None,
    scopes: str | None = None,
    jwks_uri: str | None = None,
    jwks_file: Path | None = None,
    purpose: str | None = None,
    disabled: bool | None = None,
) -> None:
    """Change an app that was registered at the running gateway. What is left out stays as it is.

    Parameters
    ----------
    name
        The name that users see.
    redirect_uri
        Where authorization responses go, instead of where they went; may be given several times.
    launch_uri
        Where an EHR opens it, instead of before; may be given several times.
    scopes
        The most it may be granted.
    jwks_uri
        Where a confidential-asymmetric app publishes its keys.
    jwks_file
        A file with its public keys, if it publishes none.
    purpose
        What it is for, in a sentence for its users.
    disabled
        Disable it, as `clients disable` does; `--no-disabled` enables it again.
    """
    from gateway.commands.admin_api_client import printable_json  # noqa: PLC0415 - needs an HTTP client

    options = {
        "name": name,
        "redirect_uris": redirect_uri,
        "launch_uris": launch_uri,
        "scopes": scopes,
        "jwks_uri": jwks_uri,
        "jwks": _read_jwks(jwks_file),
        "purpose": purpose,
        "disabled": disabled,
    }
    changes = {key: value for key, value in options.items() if value is not None}
    with admin_api(config, address) as api:
        print(printable_json(api.update_client(client_id, changes)))


@clients.command(name="list")
def list_clients(*, config: ConfigOption = None, address: AddressOption = None) -> None:
    """List the apps: id, authentication method, where it is registered, whether it is enabled, name."""
    with admin_api(config, address) as api:
        for line in api.client_lines():
            print(line)


@clients.command(name="show")
def show_client(client_id: str, *, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Show an app that was registered at the running gateway; those of the configuration file are not shown."""
    from gateway.commands.admin_api_client import printable_json  # noqa: PLC0415 - needs an HTTP client

    with admin_api(config, address) as api:
        print(printable_json(api.client(client_id)))


@clients.command(name="disable")
def disable_client(client_id: str, *, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Disable an app that was registered at the running gateway, from now on."""
    with admin_api(config, address) as api:
        api.disable_client(client_id)
    print(f"{client_id} is disabled.")


@clients.command(name="remove")
def remove_client(client_id: str, *, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Remove an app that was registered at the running gateway, and end everything that was granted to it."""
    with admin_api(config, address) as api:
        api.remove_client(client_id)
    print(f"{client_id} is removed.")


def _read_thumbprints(file: Path | None) -> list[str] | None:
    """The thumbprint of each certificate of a file; None without a file."""
    if file is None:
        return None
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - the other commands need none

    from gateway.certificates.certificate_files import CertificateError, read_certificates  # noqa: PLC0415 - likewise
    from gateway.certificates.thumbprint import certificate_thumbprint  # noqa: PLC0415 - likewise

    try:
        certificates = read_certificates(file)
    except CertificateError as error:
        fail(error)
    return [certificate_thumbprint(certificate.public_bytes(Encoding.DER)) for certificate in certificates]


def _read_jwks(file: Path | None) -> object:
    """The JSON of a file with keys; None without a file."""
    try:
        return None if file is None else json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        fail(f"{file}: is not JSON")
