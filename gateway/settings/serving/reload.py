"""Settings of the reload: when a running gateway looks whether its configuration has changed."""

from typing import Annotated

from pydantic import Field

from gateway.settings.section import Section
from gateway.settings.setting_types import Seconds


class Reload(Section):
    """When a changed configuration comes into force without a restart."""

    watch_seconds: Annotated[
        Seconds | None,
        Field(
            le=3600,
            description="How often the gateway looks whether the configuration file, or a file that it names, has "
            "changed; null for never. Two equal looks in a row are needed, so that no half-written file is read. "
            "SIGHUP and the admin API reload in any case.",
        ),
    ] = 5.0
