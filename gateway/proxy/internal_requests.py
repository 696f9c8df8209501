"""FHIR requests that the gateway makes for a user: decided and judged like an app's, so that pages show no more."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.request.interaction_url import format_interaction_url
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import Allow
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.proxy.incoming_request import parse_interaction
from gateway.proxy.request_answers import ProxyDependencies
from gateway.proxy.request_context import RequestContext
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.telemetry.tracing.spans import CURRENT_SPANS
from gateway.upstream.caller import Caller

# What pages look up counts together, as one client at the connections to the FHIR server.
_PAGES = Caller(("", "smart-server"))


class InternalRequests:
    """Sends requests through the proxy's decision and judgement, without HTTP and without a token."""

    def __init__(self, dependencies: ProxyDependencies) -> None:
        self._dependencies = dependencies

    async def get(self, access: Access, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Mapping[str, Any]:
        """The response to a GET, as far as `access` permits it. Raises `RequestRefused`."""
        now, trace = time.time(), UpstreamTrace(b"smart-server", spans=CURRENT_SPANS.get(), caller=_PAGES)
        query = encode_pairs(tuple(pairs)).encode()
        interaction = parse_interaction("GET", path.encode(), query, {}, b"", self._dependencies.extra_parameters)
        grants = self._dependencies.grants
        allow, grant = await grants.decide(interaction, access, grants.for_access(access), trace, now)
        if not isinstance(allow, Allow):
            raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED)
        context = RequestContext(
            interaction, format_interaction_url(interaction), grant, access, trace, now, b"application/fhir+json"
        )
        response = await self._dependencies.executor.execute(allow, context)
        resource = orjson.loads(response.body) if isinstance(response.body, bytes) else None
        return resource if isinstance(resource, dict) else {}
