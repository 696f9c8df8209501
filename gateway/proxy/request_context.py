"""What the parts of the proxy need to know about the request that they work for."""

import msgspec

from gateway.fhir.request.interaction import Interaction
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.proxy.fhir_server import ContentToSend
from gateway.proxy.upstream_trace import UpstreamTrace


class RequestContext(msgspec.Struct, frozen=True, gc=False):
    """One request: what it asks for, under which grant, and when (`now`: seconds since the epoch).

    `address` is the canonical path and query. `accept` is the client's Accept header, used for Binary only. `upload`
    is the content of a Binary that is written as it is.
    """

    interaction: Interaction
    address: tuple[str, str]
    grant: Grant
    access: Access
    trace: UpstreamTrace
    now: float
    accept: bytes
    upload: ContentToSend | None = None
