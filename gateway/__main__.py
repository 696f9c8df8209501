"""The command line: serve, check-config, mint, explain."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from gateway.settings.load import SettingsError, load_settings
from gateway.settings.model import Settings

HELP = """SMART App Launch in front of any FHIR R4 server, enforced on every byte that comes back.

A first look, from a checkout: `make run` starts everything and prints commands to paste.
Otherwise: write a config/gateway.yaml (every setting is explained there), then

    smart-gateway check-config --config gateway.yaml
    smart-gateway serve --config gateway.yaml
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
        A JWT access token to take scopes, patient and user from.
    """
    from gateway.commands.explain import ExplainError, explanation  # noqa: PLC0415 - serve needs it not

    settings = _settings(config) if config is not None else None
    try:
        for line in explanation(settings, method, url, scope=scope, patient=patient, user=user, token=token):
            print(line)
    except ExplainError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
