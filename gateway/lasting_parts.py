"""What the gateways of one process share: a reload replaces the gateway, and keeps these."""

from typing import TYPE_CHECKING

from gateway.proxy.fhir_server import UPSTREAM_HEADERS
from gateway.proxy.lasting_parts import LastingProxyParts
from gateway.settings.model import Settings
from gateway.telemetry.tracing.span_export import SharedSpanExports
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.server_connections import SharedServerConnections

if TYPE_CHECKING:
    from gateway.admin.lasting_parts import LastingAdminParts
    from gateway.smart_server.lasting_parts import LastingServerParts


class LastingParts:
    """The parts that outlive a configuration. `smart_server` and `admin` are None where there is no such thing."""

    def __init__(
        self, settings: Settings, paging_key: bytes | None = None, admin: "LastingAdminParts | None" = None
    ) -> None:
        """Nothing is connected yet. `paging_key` seals links where the settings have no key.

        `admin` is for the admin port.
        """
        self.control_client = ControlClient()
        self.connections = SharedServerConnections(self.control_client, UPSTREAM_HEADERS)
        self.proxy = LastingProxyParts(settings.overload, paging_key)
        self.smart_server = _build_server_parts(settings)
        self.admin = admin
        self.span_exports = SharedSpanExports()

    async def aclose(self) -> None:
        """Close all connections, after every gateway has been closed."""
        await self.control_client.aclose()
        if self.smart_server is not None:
            await self.smart_server.aclose()


def _build_server_parts(settings: Settings) -> "LastingServerParts | None":
    if settings.smart_server is None:
        return None
    # Imported here, because the store and its libraries take memory.
    from gateway.smart_server.lasting_parts import LastingServerParts  # noqa: PLC0415

    return LastingServerParts(settings.smart_server, development=settings.development)
