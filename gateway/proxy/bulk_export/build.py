"""Builds what bulk exports need from the settings. Nothing is connected yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.fhir.resources.links import UrlRewriter
from gateway.policy.export_link import ExportSealer
from gateway.proxy.bulk_export.bulk_exports import BulkExports
from gateway.proxy.bulk_export.export_links import ExportLinks
from gateway.proxy.bulk_export.export_server import ExportServer
from gateway.proxy.fhir_server import UPSTREAM_HEADERS, FhirServer
from gateway.settings.model import Settings
from gateway.upstream.build import build_storage_pool
from gateway.upstream.connection_pool import ConnectionPool


@dataclass(frozen=True, slots=True)
class ExportParts:
    """The parts of bulk exports that others use as well. `storages` are to be closed at the end."""

    responses: BulkExports
    links: ExportLinks
    server: ExportServer
    storages: Mapping[str, ConnectionPool]

    async def aclose(self) -> None:
        """Close the connections to the storages."""
        for pool in self.storages.values():
            await pool.aclose()


def build_exports(settings: Settings, server: FhirServer, key: bytes) -> ExportParts:
    """The parts of bulk exports. `key` seals their links."""
    export, upstream = settings.bulk_export, settings.upstream
    storages = {base: build_storage_pool(base, upstream, UPSTREAM_HEADERS) for base in export.file_bases}
    export_server = ExportServer(server, storages, upstream.base_url, (settings.public_base_url, *upstream.aliases))
    links = ExportLinks(ExportSealer(key), public_base=settings.public_base_url, lifetime=export.link_lifetime_seconds)
    rewriter = UrlRewriter(upstream.base_url, settings.public_base_url, upstream.aliases)
    responses = BulkExports(server, export_server, links, rewriter, file_limit=export.max_file_bytes)
    return ExportParts(responses, links, export_server, storages)
