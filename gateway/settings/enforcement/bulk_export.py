"""Settings of bulk exports (Bulk Data Access 2.0)."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from gateway.policy.permission.rules import ExportRules
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import BaseUrl, Count, Flag


class BulkExport(Section):
    """Bulk exports by clients with `system/` scopes."""

    allow: Annotated[Flag, Field(description="Whether exports may be started, if the FHIR server has them.")] = True
    type_filters: Annotated[
        Flag,
        Field(
            description="Whether the FHIR server knows `_typeFilter`. By it exports are narrowed to the constraints of "
            "a token; each line is verified in either case."
        ),
    ] = True
    group_needs_scope: Annotated[
        Flag,
        Field(
            description="Whether the export of a Group needs a scope to read the Group, since it tells who belongs to "
            "it. Some clients, such as smart-fetch, ask for scopes of the exported types alone; with `false` they may "
            "export any Group."
        ),
    ] = True
    file_bases: Annotated[
        tuple[BaseUrl, ...],
        Field(
            description="Base URLs of the storages where the FHIR server puts the files of its exports, such as "
            "`https://storage.example.org/exports`. Files are fetched from there without credentials, and from "
            "nowhere else but the FHIR server itself."
        ),
    ] = ()
    link_lifetime_seconds: Annotated[
        Count, Field(description="How long the links to a job and to its files can be followed.")
    ] = 86_400
    max_file_bytes: Annotated[
        Count, Field(description="The largest file that is handed out; the transfer of a larger one is broken off.")
    ] = 16 * 1024 * 1024 * 1024

    @conflict_rule
    def _storage_without_path(self) -> Iterator[Conflict]:
        """The whole host of an object storage belongs to many."""
        for index, base in enumerate(self.file_bases):
            if base.startswith("https://") and not urlsplit(base).path.strip("/"):
                yield Conflict(("file_bases", index), "needs a path: everything below it may be fetched")

    def rules(self) -> ExportRules:
        """The settings that decisions need."""
        return ExportRules(self.allow, self.type_filters, self.group_needs_scope)
