"""Settings of overload: what one client may have at once, and how slow it may be."""

from typing import Annotated

from pydantic import Field

from gateway.settings.section import Section
from gateway.settings.setting_types import Count, Seconds


class Overload(Section):
    """What one client may have at once, and how slow it may be. All numbers are those of one worker."""

    requests: Annotated[
        Count,
        Field(
            ge=2,
            description="How many requests may be in progress at once; more are answered 503. No client may have more "
            "than what is left, and those without a valid token half of all together.",
        ),
    ] = 1024
    requests_per_client: Annotated[
        Count,
        Field(description="How many of them one app may have, whoever uses it; more are answered 429."),
    ] = 256
    requests_per_address: Annotated[
        Count,
        Field(
            description="How many requests without a valid token one address may have at once, which may be a whole "
            "hospital: pages, the token endpoint, `/metadata`, and tokens that are being checked."
        ),
    ] = 256
    connections: Annotated[
        Count,
        Field(
            description="How many connections of clients may be open at once, as far as the process may have as many "
            "files. A new one takes the place of one that is idle; without any, it is answered 503."
        ),
    ] = 4096
    connections_per_address: Annotated[
        Count,
        Field(
            description="How many of them one address may have, in the same way, and is answered 429. Not for those of "
            "listen.trusted_proxies."
        ),
    ] = 1024
    idle_seconds: Annotated[
        Seconds,
        Field(
            description="How long a connection stays open without a request; longer than a proxy in front keeps it, so "
            "that none is closed under a request."
        ),
    ] = 75.0
    head_seconds: Annotated[
        Seconds, Field(description="How long the head of a request may take, and the first one of a connection.")
    ] = 15.0
    transfer_seconds: Annotated[
        Seconds,
        Field(
            description="How long a client may take to send a body or to take a response, beside the time that its "
            "bytes take by transfer_bytes_per_second. A body that is late is answered 408; a response that is not "
            "taken ends with its connection."
        ),
    ] = 30.0
    transfer_bytes_per_second: Annotated[
        Count, Field(description="How fast a client has to send a body or take a response, in the long run.")
    ] = 2048
