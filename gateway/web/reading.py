"""Readings of the gateway's own: whether a resource, as it stands now, may be seen by a grant."""

from collections.abc import Collection

import msgspec

from gateway.fhir.interaction import Interaction
from gateway.fhir.reference import Reference
from gateway.fhir.resource import MalformedResourceError, Members, address_in, open_resource
from gateway.policy.access import Access
from gateway.policy.decision import Send
from gateway.policy.grant import Grant
from gateway.policy.judge import Judgement, Targets, belongs, judge, may_belong
from gateway.policy.permission import Permission
from gateway.policy.reach import Compartments
from gateway.policy.reasons import Reason
from gateway.web.answer import Refused
from gateway.web.fetch import OF_THE_RECORD, FhirServer
from gateway.web.trace import Trace

# What hangs on the one resource that was looked at: it is not there for us, and takes nothing else along.
_NOT_TO_BE_JUDGED = OF_THE_RECORD | {Reason.NOT_FOUND}
# A Provenance, or a page of them, asks for at most this many targets.
MAX_TARGETS = 20


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One request on its way: what it asks, under which grant, and when (`now`: seconds since the epoch).

    `accept` is the client's own Accept header, used for Binary alone. `address` is the canonical path and query.
    """

    interaction: Interaction
    address: tuple[str, str]
    grant: Grant
    access: Access
    trace: Trace
    now: float
    accept: bytes


class Reader:
    """Asks the server for a resource that a decision hangs on, and judges it."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    async def may_read(self, reference: Reference, asked: Asked) -> bool:
        """Whether the token could read it by id; a Provenance by its targets as well (enforcement.md 8)."""
        _, judgement = await self._judged(asked.grant.read(reference.resource_type), reference, asked)
        return await self.holds(judgement, asked)

    async def may_find(self, reference: Reference, asked: Asked) -> bool:
        """Whether the token could find it by any search; a Provenance by its targets as well."""
        _, judgement = await self._judged(asked.grant.find(reference.resource_type), reference, asked)
        return await self.holds(judgement, asked)

    async def vouches(self, reference: Reference, reaches: Collection[Compartments], asked: Asked) -> bool:
        """Whether it may vouch for what only members of these compartments vouch for.

        The token must be able to read it by id or find it by a search, and it must be a member. A Provenance that hangs
        on yet another resource is not followed: it does not count.
        """
        grant = asked.grant
        if not may_belong(reference.resource_type, reaches, grant.rules):
            return False
        members, judgement = await self._judged(grant.visible(reference.resource_type), reference, asked)
        return judgement is True and belongs(members, reaches, grant.rules)

    async def holds(self, judgement: Judgement, asked: Asked) -> bool:
        """Whether what was judged may be shown, where need be because one of the targets vouches for it."""
        if not isinstance(judgement, Targets):
            return judgement
        for target in judgement.references[:MAX_TARGETS]:
            if await self.vouches(target, judgement.compartments, asked):
                return True
        return False

    async def _judged(self, permission: Permission, reference: Reference, asked: Asked) -> tuple[Members, Judgement]:
        """The resource as it stands now, and whether it may be shown; no members where there is none to judge."""
        if not permission:
            return {}, False
        plain = Reference(reference.resource_type, reference.id)
        try:
            members = open_resource((await self._server.fetch(Send(f"/{plain}"), asked.trace)).body)
            if address_in(members) != (plain.resource_type, plain.id):
                return {}, False
            return members, judge(members, permission, asked.grant)
        except MalformedResourceError:
            return {}, False
        except Refused as refused:
            if refused.deny.reason in _NOT_TO_BE_JUDGED:
                return {}, False
            raise
