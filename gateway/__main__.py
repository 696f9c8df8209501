"""The command line: serve, check-config, explain; clients, users and keys; mint and development-key."""

import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from gateway.settings.load import SettingsError, load_settings
from gateway.settings.model import Settings

if TYPE_CHECKING:
    from gateway.commands.administer import Administrator

_Answer = TypeVar("_Answer")

HELP = """SMART App Launch in front of any FHIR R4 server, enforced on every byte that comes back.

A first look, from a checkout: `make run` starts everything and prints commands to paste.
Otherwise: write a config/gateway.yaml (every setting is explained there), then

    smart-gateway check-config --config gateway.yaml
    smart-gateway serve --config gateway.yaml
    smart-gateway clients add --config gateway.yaml --name 'Growth Chart' --redirect-uri https://app.example/callback
    smart-gateway explain --scope 'patient/Observation.rs' --patient A GET '/Observation?code=1234-5'

Every setting can also come from the environment: SMART_GATEWAY__UPSTREAM__BASE_URL is upstream.base_url.
"""

app = App(name="smart-gateway", help=HELP, help_format="plaintext", version_flags=[])

Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help="The configuration file.")]


def _settings(config: Path | None) -> Settings:
    try:
        return load_settings(config, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        raise SystemExit(1) from None


@app.command
def serve(*, config: Config = None) -> None:
    """Run the gateway until it is told to stop.

    Listens where `listen` says, with metrics on the port that `metrics` says. Stops on SIGINT or SIGTERM once
    the requests under way are answered.
    """
    from gateway.commands.serve import serve as run  # noqa: PLC0415 - the other commands need no server

    run(_settings(config))


@app.command(name="check-config")
def check_config(*, config: Config = None) -> None:
    """Check the configuration and say everything that is wrong with it, each with its place.

    Exits 0 where the gateway would start with it, else 1.
    """
    settings = _settings(config)
    print(f"The configuration is valid. Apps use {settings.public_base_url}.")


@app.command(name="development-key")
def development_key(jwks_file: Path) -> None:
    """Make a development issuer's key: JWKS_FILE for the configuration, and the private key beside it.

    The private key is JWKS_FILE with `.private` before its ending, readable by you alone. `mint` signs with it.
    """
    from gateway.commands.mint import make_key  # noqa: PLC0415 - only this command signs

    make_key(jwks_file)
    print(f"Name {jwks_file} as jwks_file of an issuer.")


@app.command
def mint(
    *,
    scope: str,
    config: Config = None,
    patient: str | None = None,
    user: str | None = None,
    client: str = "development",
    lifetime: int = 3600,
) -> None:
    """Print a development access token, signed by the configuration's issuer that has a key of `development-key`.

    Refused unless the configuration says `development: true`.

    Parameters
    ----------
    scope
        The scopes, separated by spaces: 'patient/*.rs openid fhirUser'.
    patient
        The id of the patient in context.
    user
        The user as a FHIR resource: Practitioner/1.
    client
        The client id.
    lifetime
        Seconds until the token ends.
    """
    from gateway.commands.mint import MintError, mint_token  # noqa: PLC0415 - only this command signs

    try:
        token = mint_token(_settings(config), scope=scope, patient=patient, user=user, client=client, lifetime=lifetime)
    except MintError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print(token)


@app.command
def explain(
    method: str,
    url: str,
    *,
    config: Config = None,
    scope: str | None = None,
    patient: str | None = None,
    user: str | None = None,
    token: str | None = None,
) -> None:
    """Say what the gateway would do with a request, and why: the units considered, what is sent, what is verified.

    Runs the decision that the live gateway runs. With --token, the claims of that token are used; its signature is
    not checked here. Without --config, the default rules apply.

    Parameters
    ----------
    method
        GET, HEAD, POST ...
    url
        Path and query below the FHIR base: '/Observation?code=1234-5'.
    scope
        The scopes, separated by spaces.
    patient
        The id of the patient in context.
    user
        The user as a FHIR resource: Practitioner/1.
    token
        An access token to take scopes, patient and user from: a JWT, or one of this gateway's own.
    """
    from gateway.commands.explain import ExplainError, explanation  # noqa: PLC0415 - serve needs it not

    settings = _settings(config) if config is not None else None
    try:
        for line in explanation(settings, method, url, scope=scope, patient=patient, user=user, token=token):
            print(line)
    except ExplainError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


clients = App(name="clients", help="The apps that may ask for access, as the running gateway knows them.")
users = App(name="users", help="The people who sign in here with a password.")
keys = App(name="keys", help="The keys that id_tokens are signed with.")
for _group in (clients, users, keys):
    app.command(_group)

Address = Annotated[
    str | None, Parameter(help="The issuer's address as it is reached from here, such as http://127.0.0.1:8080/auth.")
]


def _administrator(config: Path | None, address: str | None) -> "Administrator":
    from gateway.commands.administer import AdministrationError, Administrator  # noqa: PLC0415 - serve needs it not

    try:
        return Administrator(_settings(config), address)
    except AdministrationError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def _asked(question: "Callable[[], _Answer]") -> "_Answer":
    from gateway.commands.administer import AdministrationError  # noqa: PLC0415 - serve needs it not

    try:
        return question()
    except AdministrationError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


@clients.command(name="add")
def add_client(  # noqa: PLR0913 - each is an option of the command line
    *,
    name: str,
    config: Config = None,
    address: Address = None,
    client_id: str | None = None,
    type: Literal["public", "confidential-symmetric", "confidential-asymmetric"] = "public",
    redirect_uri: list[str] | None = None,
    launch_uri: list[str] | None = None,
    scopes: str | None = None,
    jwks_uri: str | None = None,
    jwks_file: Path | None = None,
    backend: bool = False,
    purpose: str = "",
) -> None:
    """Add an app; prints its client_id, and the secret of a confidential-symmetric one, which is told only now.

    Parameters
    ----------
    name
        What people call it.
    client_id
        The name it asks by; made up where it is left out.
    type
        Whether it can keep a secret, and which.
    redirect_uri
        Where its answers go; may be given several times.
    launch_uri
        Where an EHR opens it; may be given several times.
    scopes
        The most it may be granted.
    jwks_uri
        Where a confidential-asymmetric app publishes its keys.
    jwks_file
        A file with its public keys, where it publishes none.
    backend
        A backend service: client_credentials instead of a user's grant.
    purpose
        What it is for, in a sentence for its users.
    """
    from gateway.commands.administer import in_json  # noqa: PLC0415 - serve needs it not

    told = {
        "name": name,
        "client_id": client_id,
        "type": type,
        "redirect_uris": redirect_uri,
        "launch_uris": launch_uri,
        "scopes": scopes,
        "jwks_uri": jwks_uri,
        "jwks": None if jwks_file is None else json.loads(jwks_file.read_text(encoding="utf-8")),
        "grant_types": ["client_credentials"] if backend else None,
        "purpose": purpose or None,
    }
    body = {key: value for key, value in told.items() if value is not None}
    administrator = _administrator(config, address)
    print(in_json(_asked(lambda: administrator.ask("POST", "/clients", body))))


@clients.command(name="list")
def list_clients(*, config: Config = None, address: Address = None) -> None:
    """List the apps: id, how it proves itself, where it is registered, whether it is enabled, name."""
    administrator = _administrator(config, address)
    for line in _asked(administrator.clients):
        print(line)


@clients.command(name="show")
def show_client(client_id: str, *, config: Config = None, address: Address = None) -> None:
    """Show an app that was added here; one of the configuration is shown there."""
    from gateway.commands.administer import in_json  # noqa: PLC0415 - serve needs it not

    administrator = _administrator(config, address)
    print(in_json(_asked(lambda: administrator.client(client_id))))


@clients.command(name="disable")
def disable_client(client_id: str, *, config: Config = None, address: Address = None) -> None:
    """Refuse an app that was added here, from now on."""
    administrator = _administrator(config, address)
    _asked(lambda: administrator.disable(client_id))
    print(f"{client_id} is disabled.")


@users.command(name="add")
def add_user(
    username: str,
    *,
    name: str,
    fhir_user: str | None = None,
    config: Config = None,
    address: Address = None,
    print_hash: bool = False,
) -> None:
    """Add somebody who signs in here; the password is asked for, or read from standard input.

    Parameters
    ----------
    username
        The name to sign in by.
    name
        The name that pages show.
    fhir_user
        The user's own resource: Practitioner/123.
    print_hash
        Print the entry for the configuration file instead of adding it to a running gateway.
    """
    from gateway.keys.passwords import hash_password  # noqa: PLC0415 - only this command hashes

    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        print("The password is empty.", file=sys.stderr)
        raise SystemExit(1)
    entry = {"username": username, "name": name, "password_hash": hash_password(password)}
    if fhir_user is not None:
        entry["fhir_user"] = fhir_user
    if print_hash:
        print("- {" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items()) + "}")
        return
    administrator = _administrator(config, address)
    _asked(lambda: administrator.ask("POST", "/users", dict(entry)))
    print(f"{username} can sign in now.")


@keys.command(name="rotate")
def rotate_keys(*, config: Config = None, address: Address = None) -> None:
    """Make the next signing key: published at once, it signs in an hour, and the old one stays as long as it must."""
    administrator = _administrator(config, address)
    answer = _asked(lambda: administrator.ask("POST", "/keys/rotate"))
    print(f"Published: {', '.join(answer['keys'])}. The last of them signs from {answer['signs_from']:.0f} on.")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
