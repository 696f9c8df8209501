"""The commands `development-key` and `mint`: access tokens for development."""

from pathlib import Path

from gateway.commands.options import ConfigOption, fail, read_settings


def development_key(jwks_file: Path) -> None:
    """Make a development issuer's key: JWKS_FILE for the configuration, and the private key beside it.

    The private key is JWKS_FILE with `.private` before its ending, readable by you alone. `mint` signs with it.
    """
    from gateway.commands.mint import write_development_key  # noqa: PLC0415 - only these commands sign

    try:
        write_development_key(jwks_file)
    except ValueError as error:
        fail(error)
    print(f"Name {jwks_file} as jwks_file of an issuer.")


def mint(
    *,
    scope: str,
    config: ConfigOption = None,
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
        Seconds until the token expires.
    """
    from gateway.commands.mint import MintError, mint_token  # noqa: PLC0415 - only these commands sign

    settings = read_settings(config)
    try:
        token = mint_token(settings, scope=scope, patient=patient, user=user, client=client, lifetime=lifetime)
    except (MintError, ValueError) as error:
        # `ValueError`: the private key beside the JWKS file is none.
        fail(error)
    print(token)
