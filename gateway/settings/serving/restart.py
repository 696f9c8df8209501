"""Which settings a running gateway cannot change: sockets, the store, and whose records and tokens these are."""

from collections.abc import Iterator

from gateway.settings.model import Settings
from gateway.settings.section import Section

# A changed `upstream.base_url` is another FHIR server, on which `Patient/1` is somebody else: tokens, links and users'
# own resources would then lead to the wrong records. The other addresses are what tokens and apps know this gateway by.
NEEDS_RESTART = (
    "public_base_url",
    "development",
    "listen.host",
    "listen.port",
    "listen.tls",
    "listen.client_certificates",
    "metrics",
    "admin.host",
    "admin.port",
    "admin.tls",
    "admin.recent_decisions_bytes",
    "shutdown",
    "upstream.base_url",
    "smart_server.issuer",
    "smart_server.store",
    "smart_server.store_ca_file",
    "smart_server.store_replicas",
    "audit",
    "reload",
)
"""The settings, and the sections as a whole, that need a restart. So does `smart_server` where it comes or goes."""


def needs_restart(setting: str) -> bool:
    """Whether a change of the setting at this dotted path needs a restart."""
    return any(setting == name or setting.startswith(f"{name}.") for name in NEEDS_RESTART)


def find_restart_settings(current: Settings, following: Settings) -> tuple[str, ...]:
    """The dotted paths of the settings that differ and need a restart."""
    if (current.smart_server is None) is not (following.smart_server is None):
        return ("smart_server",)
    return tuple(path for path in _differences(current, following, "") if needs_restart(path))


def _differences(current: object, following: object, path: str) -> Iterator[str]:
    if current == following:
        return
    if isinstance(current, Section) and type(current) is type(following):
        for name in type(current).model_fields:
            yield from _differences(
                getattr(current, name), getattr(following, name), f"{path}.{name}" if path else name
            )
    else:
        yield path
