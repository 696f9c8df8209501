"""Settings of the audit: the line for every decision, and FHIR AuditEvents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.serving.upstream import Authentication, NoAuthentication, Tls
from gateway.settings.setting_types import BaseUrl, Count, Flag, Secret, Text

_MIN_SPOOL = 1024 * 1024


class AuditServer(Section):
    """A FHIR server that stores AuditEvents, such as an audit record repository."""

    base_url: Annotated[BaseUrl, Field(description="The base URL of the server, without a slash at the end.")]
    authentication: Annotated[Authentication, Field(description="How the gateway authenticates there.")] = (
        NoAuthentication()
    )
    tls: Annotated[Tls, Field(description="TLS to this server.")] = Tls()
    batch: Annotated[
        Count, Field(description="How many events one request has, as a batch; with 1 each is a PUT by itself.")
    ] = 50


class AuditEvents(Section):
    """FHIR AuditEvents by the profiles of IHE BALP. They go to `file`, to `server` or to both."""

    spool: Annotated[
        Path,
        Field(
            description="The directory where events wait until they have been handed on, on a disk of this machine. An "
            "event is there before its response leaves."
        ),
    ]
    spool_bytes: Annotated[Count, Field(description="How much may wait, for each worker.")] = 256 * 1024 * 1024
    when_full: Annotated[
        Literal["refuse", "drop"],
        Field(
            description="What happens when the spool is full or cannot be written. `refuse`: no request is served, "
            "each is answered 503 `audit_unavailable`. `drop`: requests are served, and lost events are counted."
        ),
    ] = "refuse"
    file: Annotated[Path | None, Field(description="A file to which events are appended, one line of JSON each.")] = (
        None
    )
    server: Annotated[AuditServer | None, Field(description="A FHIR server that stores the events.")] = None
    chain_key: Annotated[
        Secret | None,
        Field(
            description="With it, the hash that each event carries of the one before is an HMAC, which nobody can make "
            "anew who has not the key; 16 characters or more, except in development."
        ),
    ] = None
    references: Annotated[
        Literal["logical", "literal"],
        Field(
            description="How events name resources: `logical`, by type and identifier, which every server stores; or "
            "`literal`, such as `Patient/123`, where `server` is the FHIR server itself and does not insist on "
            "references that lead somewhere."
        ),
    ] = "logical"
    token_details: Annotated[
        Literal["comprehensive", "minimal"],
        Field(
            description="Which of BALP's profiles for tokens says who acted: `OAUTHaccessTokenUse.Comprehensive` or "
            "`OAUTHaccessTokenUse.Minimal`."
        ),
    ] = "comprehensive"
    query_values: Annotated[
        Flag,
        Field(
            description="Whether events have the values of queries; otherwise they have the names of the parameters. "
            "With `hash_patient`, values are always left out."
        ),
    ] = True

    @conflict_rule
    def _no_sink(self) -> Iterator[Conflict]:
        if self.file is None and self.server is None:
            yield Conflict((), "needs file, server or both: events would wait for ever")

    @conflict_rule
    def _small_spool(self) -> Iterator[Conflict]:
        if self.spool_bytes < _MIN_SPOOL:
            yield Conflict(("spool_bytes",), f"must be at least {_MIN_SPOOL}: events of some hundred requests")

    @conflict_rule
    def _file_without_directory(self) -> Iterator[Conflict]:
        if self.file is not None and not self.file.parent.is_dir():
            yield Conflict(("file",), "names a directory that does not exist")

    @conflict_rule
    def _spool_without_directory(self) -> Iterator[Conflict]:
        if not self.spool.parent.is_dir():
            yield Conflict(("spool",), "must lie in a directory that exists")

    def chain_key_bytes(self) -> bytes | None:
        """The key of the chains; None where they have plain hashes."""
        return None if self.chain_key is None else self.chain_key.get_secret_value().encode()


class Audit(Section):
    """One line of JSON for every decision, and AuditEvents."""

    destination: Annotated[Text, Field(description="`stdout`, or the path of a file to append to.")] = "stdout"
    hash_patient: Annotated[
        Flag, Field(description="Whether the patient's id is written as an HMAC (SHA-256) instead of as plain text.")
    ] = False
    hash_typed_user: Annotated[
        Flag,
        Field(
            description="Whether the name that somebody typed to sign in, in vain, is written as an HMAC. Now and then "
            "it is a password, typed into the wrong field."
        ),
    ] = False
    hash_key: Annotated[
        Secret | None, Field(description="The key of these HMACs; 16 characters or more, except in development.")
    ] = None
    events: Annotated[
        AuditEvents | None, Field(description="FHIR AuditEvents beside these lines; without it there are none.")
    ] = None

    @conflict_rule
    def _hash_without_key(self) -> Iterator[Conflict]:
        """A hash without a key could be reversed by trying every id."""
        is_used = self.hash_patient or self.hash_typed_user
        if is_used and self.hash_key is None:
            yield Conflict(("hash_key",), "is required when hash_patient or hash_typed_user is true")
        if self.hash_key is not None and not is_used:
            yield Conflict(("hash_key",), "is used only when hash_patient or hash_typed_user is true")

    @conflict_rule
    def _no_such_directory(self) -> Iterator[Conflict]:
        path = self.path()
        if path is not None and not path.parent.is_dir():
            yield Conflict(("destination",), "names a directory that does not exist")

    def path(self) -> Path | None:
        """The file to append to; None for standard output."""
        return None if self.destination == "stdout" else Path(self.destination)
