"""Settings of shadow mode: whose requests are decided and judged, but not held to it, and until when."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gateway.policy.shadow.open_access import Opening
from gateway.settings.section import Conflict, Section
from gateway.settings.setting_types import Flag, Moment, Text, Word

if TYPE_CHECKING:
    from gateway.settings.model import Settings

MAX_DAYS = 90
_DAY = 86400.0


class Shadow(Section):
    """The reads and searches of one client, or of all clients of an issuer, in shadow mode.

    They are decided and judged as ever, and what would have been refused or left out is recorded. But they are answered
    as if the token had every right to read.
    """

    issuer: Annotated[
        Word,
        Field(description="The `iss` of their tokens: one of issuers, or the issuer of smart_server."),
    ]
    client_id: Annotated[
        Text | None,
        Field(
            description="The client, as the audit lines name it; without it, every client of the issuer, which must "
            "then not be the smart_server. A token whose claims name two clients is never in shadow mode."
        ),
    ] = None
    until: Annotated[
        Moment,
        Field(
            description="When it ends by itself, such as `2027-01-31T18:00:00Z`: at most 90 days ahead, when the "
            "gateway reads this."
        ),
    ]
    writes: Annotated[
        Flag,
        Field(
            description="Whether creates, updates, patches and deletes are in shadow mode as well, outside of "
            "transactions. A write that enforcement would refuse is then carried out."
        ),
    ] = False
    operations: Annotated[
        Flag,
        Field(
            description="Whether operations are in shadow mode as well, if the manifest has them and they only read."
        ),
    ] = False
    record_rules: Annotated[
        Flag,
        Field(
            description="Whether record_rules are in shadow mode as well; otherwise they still withhold records, such "
            "as those with a security label."
        ),
    ] = False

    @property
    def ends_at(self) -> float:
        """`until` in seconds since the epoch."""
        return datetime.fromisoformat(self.until).timestamp()

    def opening(self) -> Opening:
        """What is answered without being held to the decision."""
        return Opening(writes=self.writes, operations=self.operations, record_rules=self.record_rules)


def shadow_conflicts(settings: "Settings") -> Iterator[Conflict]:
    """Entries of issuers that are not configured, of too many clients at once, and of the same clients."""
    issuers = {getattr(issuer, "issuer", None) for issuer in settings.issuers}
    own = settings.smart_server_issuer() if settings.smart_server is not None else None
    seen: dict[tuple[str, str | None], int] = {}
    for index, entry in enumerate(settings.shadow):
        if entry.issuer not in {*issuers, own}:
            yield Conflict(("shadow", index, "issuer"), "is none of issuers, and not the issuer of smart_server")
        elif entry.client_id is None and entry.issuer == own:
            yield Conflict(
                ("shadow", index, "client_id"), "is required with the issuer of smart_server, where apps may register"
            )
        first = seen.setdefault((entry.issuer, entry.client_id), index)
        if first != index:
            yield Conflict(("shadow", index), f"is about the same clients as shadow[{first}]")


def find_distant_ends(settings: "Settings", now: float) -> Iterator[Conflict]:
    """The entries that end too far ahead of `now`, in seconds since the epoch."""
    for index, entry in enumerate(settings.shadow):
        if entry.ends_at > now + MAX_DAYS * _DAY:
            yield Conflict(
                ("shadow", index, "until"), f"must be at most {MAX_DAYS} days ahead: shadow mode ends by itself"
            )


def find_open_entries(settings: "Settings", now: float) -> Iterator[Conflict]:
    """What to know of each entry. `now` is in seconds since the epoch."""
    for index, entry in enumerate(settings.shadow):
        who = f"the client {entry.client_id}" if entry.client_id is not None else "every client"
        if entry.ends_at <= now:
            yield Conflict(("shadow", index, "until"), f"is over: {who} of {entry.issuer} is held to every decision")
            continue
        also = [word for word in ("writes", "operations", "record_rules") if getattr(entry, word)]
        parts = f", and {' and '.join(also)} as well" if also else ""
        until = datetime.fromtimestamp(entry.ends_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        yield Conflict(
            ("shadow", index),
            f"lets {who} of {entry.issuer} read every record of the FHIR server until {until}, "
            f"whatever the scopes of the token{parts}",
        )
