"""Whose requests are in shadow mode, and until when: asked anew for every request, so that it ends by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.policy.permission.access import Access
from gateway.policy.shadow.open_access import Opening


@dataclass(frozen=True, slots=True)
class ShadowedCaller:
    """Clients in shadow mode: one of an issuer, or all of them. `ends_at` is in seconds since the epoch."""

    issuer: str
    client_id: str | None
    ends_at: float
    opening: Opening


class ShadowedCallers:
    """The callers that the configuration names."""

    def __init__(self, callers: Sequence[ShadowedCaller]) -> None:
        self._callers: Mapping[tuple[str, str | None], ShadowedCaller] = {
            (caller.issuer, caller.client_id): caller for caller in callers
        }

    def __bool__(self) -> bool:
        return bool(self._callers)

    def find(self, access: Access, now: float) -> Opening | None:
        """What is in shadow mode of the requests with a token; None if nothing is. `now`: seconds since the epoch.

        A client is known by its issuer and its id together. What the configuration says of the client itself counts
        alone, so that one whose time is over is not let through with the rest of its issuer. A token that names two
        clients could be that of either.
        """
        caller = self._callers.get((access.issuer, access.client_id)) or self._callers.get((access.issuer, None))
        if caller is None or now >= caller.ends_at or not access.names_one_client:
            return None
        return caller.opening

    def count_in_force(self, now: float) -> int:
        """How many of them are in shadow mode now. `now` is in seconds since the epoch."""
        return sum(1 for caller in self._callers.values() if now < caller.ends_at)
