"""Settings of how often who may try at the SMART server."""

from typing import Annotated

from pydantic import Field

from gateway.settings.section import Section
from gateway.settings.setting_types import CountOrZero


class RateLimits(Section):
    """How often who may try, so that nobody can guess, or use up the server. 0 means no limit."""

    failed_logins_per_network: Annotated[
        CountOrZero,
        Field(
            description="Wrong user names and passwords in five minutes from one network (IPv4 /24, IPv6 /64). Users "
            "who have signed in from their address or browser before are not held back by it."
        ),
    ] = 100
    wrong_secrets: Annotated[
        CountOrZero,
        Field(
            description="Wrong secrets in a minute of one app, one launcher or the operator, from one address. After "
            "twice as many in a day from addresses where the right secret was never used, such addresses have to wait "
            "between two tries."
        ),
    ] = 30
    failed_grants: Annotated[
        CountOrZero,
        Field(
            description="Codes and refresh tokens in a minute that are refused to one app at one address, before the "
            "refusal is 429. Valid ones are not held back."
        ),
    ] = 120
    token_requests: Annotated[
        CountOrZero, Field(description="Token requests in a minute of one app from one address.")
    ] = 1200
    authorization_requests: Annotated[
        CountOrZero,
        Field(
            description="Authorization requests of apps, and logins for the portal at a provider, in a minute from one "
            "address, which may be a whole hospital."
        ),
    ] = 1200
    waiting_bytes: Annotated[
        CountOrZero,
        Field(
            description="Bytes of authorization requests that one address may start in a quarter of an hour. They are "
            "kept until somebody signs in, or for `consent_page_seconds`."
        ),
    ] = 32 * 1024 * 1024
    launches: Annotated[
        CountOrZero,
        Field(description="Launches in a minute by one launcher, or by the users at one address in the app gallery."),
    ] = 1200
    registrations: Annotated[
        CountOrZero, Field(description="Apps that may register themselves in an hour from one address.")
    ] = 20
