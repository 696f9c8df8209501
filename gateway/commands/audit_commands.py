"""The commands `audit verify` and `audit show`: AuditEvents that were kept."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
from cyclopts import App, Parameter

from gateway.commands.options import ConfigOption, fail, read_settings

if TYPE_CHECKING:
    from gateway.commands.auditing.recorded_access import RecordedAccess
    from gateway.settings.model import Settings

audit = App(name="audit", help="The AuditEvents of every access (audit.events).")


@audit.command(name="verify")
def verify_events(
    *files: Path,
    key_file: Annotated[
        tuple[Path, ...], Parameter(help="A file with a key of the chains, such as one that was replaced.")
    ] = (),
    partial: Annotated[bool, Parameter(help="The beginning is in files that are not given.", negative=())] = False,
    config: ConfigOption = None,
) -> None:
    """Verify the chains of AuditEvents in files: that no record was changed, removed or added between two others.

    Give all files, oldest first. Exit status 0: every chain is whole; 1: one is broken, and the first broken link is
    named; 2: a file cannot be read. The last record of a chain is vouched for by the next one only: keep what is
    printed of it elsewhere.
    """
    from gateway.commands.auditing.find_events import read_lines  # noqa: PLC0415 - needs an HTTP client
    from gateway.telemetry.audit_events.verify_chains import verify_chains  # noqa: PLC0415 - likewise

    if not files:
        fail("Name at least one file.", status=2)
    try:
        keys = [path.read_bytes().rstrip(b"\n") for path in key_file]
        if config is not None:
            events = read_settings(config).audit.events
            own_key = events.chain_key_bytes() if events is not None else None
            keys += [] if own_key is None else [own_key]
        chains, broken = verify_chains(read_lines(files), keys, partial=partial)
    except OSError as error:
        fail(f"{error.filename}: cannot be read: {(error.strerror or '').lower()}", status=2)
    for chain in chains:
        again = f", {chain.repeated} of them handed on again" if chain.repeated else ""
        print(f"Chain {chain.name}: records {chain.first} to {chain.last}{again}; hash of the last {chain.last_hash}")
    if broken is not None:
        fail(f"Broken. {broken}.")
    print("Every chain is whole." if chains else "There are no records.")


@audit.command(name="show")
def show_accesses(  # noqa: PLR0913 - the options of a command
    *,
    patient: Annotated[str | None, Parameter(help="The id of a patient: who accessed this record?")] = None,
    client: Annotated[str | None, Parameter(help="The client id of an app.")] = None,
    user: Annotated[
        str | None, Parameter(help="A user: the subject of tokens, or a resource such as Practitioner/17.")
    ] = None,
    since: Annotated[str | None, Parameter(help="A date, a time, or how long ago: 2026-11-01, 24h, 7d.")] = None,
    file: Annotated[
        tuple[Path, ...], Parameter(help="A file of AuditEvents; by default that of audit.events.file.")
    ] = (),
    server: Annotated[bool, Parameter(help="Ask the FHIR server of audit.events.server.", negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON instead of a table.", negative=())] = False,
    config: ConfigOption = None,
) -> None:
    """Show who accessed a record and what left, from the AuditEvents in files or on a FHIR server.

    Exports of many patients have no list of them, and are shown with every patient.
    """
    from gateway.commands.auditing.access_report import (  # noqa: PLC0415 - the other commands need none of it
        AccessFilter,
        as_objects,
        as_table,
        select_accesses,
    )
    from gateway.commands.auditing.find_events import parse_since  # noqa: PLC0415 - likewise

    settings = read_settings(config) if config is not None or not file else None
    try:
        instant = None if since is None else parse_since(since, datetime.now(UTC))
    except ValueError:
        fail("--since must be a date, a time, or how long ago: 2026-11-01, 2026-11-01T08:00:00+01:00, 24h, 7d")
    named = _pseudonym(patient, settings)
    accesses = select_accesses(
        _find(settings, file, server, instant, named), AccessFilter(named, client, user, instant)
    )
    if as_json:
        print(orjson.dumps(as_objects(accesses), option=orjson.OPT_INDENT_2).decode())
        return
    print(as_table(accesses, patient=patient) if accesses else "No access was found.")
    lost = sum(access.lost_before for access in accesses)
    if lost:
        print(f"{lost} events before some of these could not be kept, and are missing.", file=sys.stderr)


def _pseudonym(patient: str | None, settings: "Settings | None") -> str | None:
    """The patient as events name it."""
    if patient is None or settings is None or settings.audit.events is None:
        return patient
    from gateway.audit_delivery.build import build_form  # noqa: PLC0415 - the other commands need no HTTP client

    hash_id = build_form(settings).naming.hash_id
    return patient if hash_id is None else hash_id(patient)


def _find(
    settings: "Settings | None", files: tuple[Path, ...], server: bool, since: str | None, patient: str | None
) -> "list[RecordedAccess]":
    from gateway.audit_delivery.audit_repository import RepositoryError  # noqa: PLC0415 - needs an HTTP client
    from gateway.commands.auditing.find_events import accesses_in_files, accesses_on_server  # noqa: PLC0415 - likewise

    events = settings.audit.events if settings is not None else None
    if not files and not server and events is not None and events.file is not None:
        files = (events.file,)
    try:
        if files:
            return list(accesses_in_files(files))
        if events is not None and events.server is not None:
            assert settings is not None
            is_literal = events.references == "literal" and not settings.audit.hash_patient
            searched = patient if is_literal else None
            return asyncio.run(accesses_on_server(events.server, since, searched))
    except OSError as error:
        fail(f"{error.filename}: cannot be read: {(error.strerror or '').lower()}", status=2)
    except RepositoryError as error:
        fail(f"The FHIR server of audit.events.server cannot be asked: {error}.", status=2)
    return fail("Name a file, or configure audit.events.")
