"""Readings of the gateway's own: whether a resource, as it stands now, may be seen by a grant."""

import msgspec

from gateway.fhir.interaction import Interaction
from gateway.fhir.reference import Reference
from gateway.fhir.resource import MalformedResourceError
from gateway.policy.access import Access
from gateway.policy.decision import KeepResource, Send
from gateway.policy.grant import Grant
from gateway.policy.judge import judge_resource
from gateway.policy.permission import Permission
from gateway.policy.reasons import Reason
from gateway.web.answer import Refused
from gateway.web.fetch import FhirServer


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One request on its way: what it asks, under which grant, and when (`now`: seconds since the epoch).

    `accept` is the client's own Accept header, used for Binary alone.
    """

    interaction: Interaction
    grant: Grant
    access: Access
    request_id: bytes
    now: float
    accept: bytes


class Reader:
    """Asks the server for a resource that a decision hangs on, and judges it."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    async def may_read(self, reference: Reference, asked: Asked) -> bool:
        """Whether the token could read it by id."""
        return await self._is_permitted(asked.grant.read(reference.resource_type), reference, asked)

    async def may_see(self, reference: Reference, asked: Asked) -> bool:
        """Whether the token could read it by id or find it by a search."""
        return await self._is_permitted(asked.grant.visible(reference.resource_type), reference, asked)

    async def _is_permitted(self, permission: Permission, reference: Reference, asked: Asked) -> bool:
        """A Provenance that hangs on yet another resource is not followed: it does not count."""
        if not permission:
            return False
        plain = Reference(reference.resource_type, reference.id)
        try:
            fetched = await self._server.fetch(Send(f"/{plain}"), asked.request_id)
            return judge_resource(fetched.body, KeepResource(permission, plain, asked.grant))[1] is True
        except MalformedResourceError:
            return False
        except Refused as refused:
            if refused.deny.reason in {Reason.NOT_FOUND, Reason.UPSTREAM_REJECTED}:
                return False
            raise
