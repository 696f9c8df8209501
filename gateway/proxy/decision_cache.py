"""Remembers decisions, because apps repeat the same requests.

An entry is the parsed interaction of a request and the decision on it. Its key is the identity of the grant, the path,
the query and the Accept header. Parsing and deciding are pure functions of these, so within one process an entry never
becomes wrong; it only becomes unreachable or is evicted:

* When the FHIR server's CapabilityStatement changes what searches can be narrowed by, `GrantCache` discards all grants
  (`GrantCache.set_unsupported_parameters`). New grants have new identities, so no old entry is found any more.
* When `GrantCache` evicts a grant, the same token gets a new one.
* A token with other scopes, another patient or another user has another grant.
* At most `MAX_ENTRIES` are kept; the oldest is evicted first.

Whatever else could change a decision is never stored:

* a decision that needed a fact looked up at the FHIR server (`UserCompartments`), because facts expire: such a
  decision is made under another grant than the token's own;
* a request with a body or with a header that changes its meaning, and any method but GET and HEAD
  (`IncomingRequest.is_plain_get`);
* a page of earlier results, because its sealed link expires and is bound to the access.

Expiry and revocation of tokens need no entry here: the token is resolved before the cache is consulted.
"""

from collections import OrderedDict

from gateway.policy.decision_types import Allow
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.proxy.incoming_request import IncomingRequest
from gateway.proxy.request_context import RequestContext

MAX_ENTRIES = 4096

_Key = tuple[int, bytes, bytes, bytes]


class DecisionCache:
    """Decisions of one worker; see the module for what makes an entry invalid."""

    def __init__(self) -> None:
        self._entries: OrderedDict[_Key, tuple[RequestContext, Allow]] = OrderedDict()

    def get(
        self, request: IncomingRequest, access: Access, grant: Grant, now: float
    ) -> tuple[Allow, RequestContext] | None:
        """The decision on an identical request, and a context for this one. `now`: seconds since the epoch."""
        accept = request.accept
        entry = self._entries.get((id(grant), request.path, request.query, accept))
        if entry is None or not request.is_plain_get():
            return None
        cached, allow = entry
        return allow, RequestContext(cached.interaction, cached.address, grant, access, request.trace, now, accept)

    def put(self, request: IncomingRequest, grant: Grant, context: RequestContext, allow: Allow) -> None:
        """Store the decision, unless it was made under another grant or depends on more than its key.

        The stored context holds the grant, so that the grant's id cannot be reused while the entry exists.
        """
        if context.grant is grant and request.is_plain_get():
            self._entries[id(grant), request.path, request.query, request.accept] = (context, allow)
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
