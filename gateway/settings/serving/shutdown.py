"""Settings of the end: how long the gateway still serves after it was asked to stop."""

from typing import Annotated

from pydantic import Field

from gateway.settings.section import Section
from gateway.settings.setting_types import SecondsOrZero


class Shutdown(Section):
    """What happens between SIGTERM and the end of the process."""

    drain_seconds: Annotated[
        SecondsOrZero,
        Field(
            description="How long everything is still served after SIGTERM or SIGINT, while `/readyz` is 503 and each "
            "response closes its connection: the time that a load balancer needs to look elsewhere."
        ),
    ] = 0.0
    finish_seconds: Annotated[
        SecondsOrZero,
        Field(
            description="How long the requests in progress may take after that, when no new connection is accepted "
            "any more. Then they are cut off."
        ),
    ] = 10.0
