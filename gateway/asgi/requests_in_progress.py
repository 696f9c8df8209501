"""How many requests may be in progress at once: of one client, of one address without a token, and of all."""

from dataclasses import dataclass
from functools import lru_cache

from gateway.asgi.client_address import address_block
from gateway.asgi.types import CONNECTION, PLACE, Scope
from gateway.policy.reasons import Reason
from gateway.upstream.caller import ClientKey

# An address that a request has none of: a Unix socket, for instance.
_NO_ADDRESS = "unknown"


@dataclass(frozen=True, slots=True)
class ProgressLimits:
    """`per_address` is for requests without a valid token. All of these may be half of `total` at most."""

    total: int
    per_client: int
    per_address: int


class RequestsInProgress:
    """Counts the requests of one process. Must be used from a single event loop."""

    def __init__(self, limits: ProgressLimits) -> None:
        self.limits = limits
        self.total = 0
        self.unproven = 0
        self._counts: dict[ClientKey, int] = {}

    @property
    def clients(self) -> int:
        """The number of clients and addresses that have requests in progress."""
        return len(self._counts)

    def enter(self, client: ClientKey) -> Reason | None:
        """Begin a request, for which `leave` must be called; or the reason why it is refused.

        What one client has must not be more than what is left, however much it may have otherwise: each greedy one
        leaves half of what it finds.
        """
        count, limits = self._counts.get(client, 0), self.limits
        left = limits.total - self.total
        if count >= limits.per_client or count >= left:
            return Reason.TOO_MANY_REQUESTS if count else Reason.OVERLOADED
        self._counts[client] = count + 1
        self.total += 1
        return None

    def enter_unproven(self, client: ClientKey) -> Reason | None:
        """As `enter`, for a request without a valid token, of the client `of_address`."""
        count, limits = self._counts.get(client, 0), self.limits
        left = min(limits.total - self.total, limits.total // 2 - self.unproven)
        if count >= limits.per_address or count >= left:
            return Reason.TOO_MANY_REQUESTS if count else Reason.OVERLOADED
        self._counts[client] = count + 1
        self.total += 1
        self.unproven += 1
        return None

    def admit(self, client: ClientKey, scope: Scope) -> Reason | None:
        """Begin a request that the HTTP server ends when its response has been sent; or the reason of a refusal.

        Another server than the gateway's own would not end it, and then it is not counted.
        """
        if CONNECTION not in scope.get("extensions", ()):
            return None
        reason = self.enter(client) if client[0] else self.enter_unproven(client)
        if reason is None:
            scope[PLACE] = (self, client)
        return reason

    def weigh(self, client: ClientKey, more: int) -> None:
        """A request in progress counts as so many more, because of the memory that it takes until it ends."""
        self._counts[client] += more
        self.total += more
        if not client[0]:
            self.unproven += more

    def leave(self, client: ClientKey, weight: int = 1) -> None:
        """A request has ended that counts as so many."""
        count = self._counts[client] - weight
        if count:
            self._counts[client] = count
        else:
            del self._counts[client]
        self.total -= weight
        if not client[0]:
            self.unproven -= weight


@lru_cache(4096)
def of_address(address: str | None) -> ClientKey:
    """The client that stands for all requests without a valid token from one address, or from one /64 of IPv6."""
    return "", _NO_ADDRESS if address is None else address_block(address)
