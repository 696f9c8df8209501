"""Readings of the gateway's own: whether a resource, as it stands now, may be seen by a grant."""

import msgspec

from gateway.fhir.interaction import Interaction
from gateway.fhir.reference import Reference
from gateway.fhir.resource import MalformedResourceError
from gateway.policy.access import Access
from gateway.policy.decision import KeepResource, Send
from gateway.policy.grant import Grant
from gateway.policy.judge import Judgement, Targets, judge_resource
from gateway.policy.permission import Permission
from gateway.policy.reasons import Reason
from gateway.web.answer import Refused
from gateway.web.fetch import FhirServer
from gateway.web.trace import Trace

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
        judgement = await self._judge(asked.grant.read(reference.resource_type), reference, asked)
        return await self.holds(judgement, asked)

    async def may_see(self, reference: Reference, asked: Asked) -> bool:
        """Whether the token could read it by id or find it by a search.

        A Provenance that hangs on yet another resource is not followed: it does not count.
        """
        return await self._judge(asked.grant.visible(reference.resource_type), reference, asked) is True

    async def holds(self, judgement: Judgement, asked: Asked) -> bool:
        """Whether what was judged may be shown, where need be because one of the targets may be seen."""
        if not isinstance(judgement, Targets):
            return judgement
        for target in judgement.references[:MAX_TARGETS]:
            if await self.may_see(target, asked):
                return True
        return False

    async def _judge(self, permission: Permission, reference: Reference, asked: Asked) -> Judgement:
        if not permission:
            return False
        plain = Reference(reference.resource_type, reference.id)
        try:
            fetched = await self._server.fetch(Send(f"/{plain}"), asked.trace)
            return judge_resource(fetched.body, KeepResource(permission, plain, asked.grant))[1]
        except MalformedResourceError:
            return False
        except Refused as refused:
            if refused.deny.reason in {Reason.NOT_FOUND, Reason.UPSTREAM_REJECTED}:
                return False
            raise
