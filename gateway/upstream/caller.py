"""For whom a request is sent to the FHIR server: the client that it counts for, and what ends its waiting."""

import asyncio

import msgspec

# Whose requests count together: an issuer and a client id, or an empty string and an address.
ClientKey = tuple[str, str]

# The gateway itself: readiness checks, and its own housekeeping.
OWN: ClientKey = ("", "")


class Waits:
    """The requests of one client connection that wait for a connection to the FHIR server."""

    __slots__ = ("_waiters", "is_over")

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[bool]] = set()
        self.is_over = False

    def add(self, waiter: asyncio.Future[bool]) -> None:
        """One more waits. Its result is whether it may go on."""
        self._waiters.add(waiter)

    def discard(self, waiter: asyncio.Future[bool]) -> None:
        """It does not wait any more."""
        self._waiters.discard(waiter)

    def end(self) -> None:
        """The client has closed its connection: nobody waits for these answers any more."""
        self.is_over = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(False)


# A Struct, because one is created per request.
class Caller(msgspec.Struct, frozen=True, gc=False):
    """A client, and the waiting that ends with its connection; None if the request is sent in any case."""

    client: ClientKey
    waits: Waits | None = None
