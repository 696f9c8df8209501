"""Whether the parts that the gateway depends on work: the FHIR server, the store, the providers, the audit spool."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from gateway.asgi.refusal import RequestRefused
from gateway.audit_delivery.build import AuditTrail
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.openid_provider.openid_client import OpenIdClient
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError
from gateway.storage.backends.store import StoreUnavailableError

# Seconds for one part.
_PATIENCE = 5.0


class PartState(StrEnum):
    """DEGRADED: it works, and something about it is to be looked at."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One part. `name` is the kind of part, `label` which one it is, and `detail` what is unusual about it."""

    name: str
    label: str
    state: PartState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """What the gateway itself asks before it says that it is ready, as in `Health`."""

    fhir_server: Callable[[], Awaitable[str]]
    store: Callable[[], Awaitable[None]]


class SystemHealth:
    """Asks every part when somebody looks."""

    def __init__(
        self, checks: HealthChecks, fhir_server: str, dependencies: Dependencies, audit: AuditTrail | None
    ) -> None:
        """`fhir_server` is the URL that is shown."""
        self._checks = checks
        self._fhir_server = fhir_server
        self._dependencies = dependencies
        self._audit = audit

    async def check(self) -> tuple[PartHealth, ...]:
        """All parts, each asked for some seconds at most."""
        providers = map(self._check_provider, self._dependencies.providers)
        asked = await asyncio.gather(self._check_fhir_server(), self._check_store(), *providers)
        return (*asked, *self._check_audit())

    async def _check_fhir_server(self) -> PartHealth:
        try:
            async with asyncio.timeout(_PATIENCE):
                warning = await self._checks.fhir_server()
        except RequestRefused as refused:
            return self._fhir(PartState.DOWN, refused.deny.reason.value)
        except TimeoutError:
            return self._fhir(PartState.DOWN, "no answer in time")
        return self._fhir(PartState.DEGRADED if warning else PartState.UP, warning)

    def _fhir(self, state: PartState, detail: str) -> PartHealth:
        return PartHealth("fhir_server", self._fhir_server, state, detail)

    async def _check_store(self) -> PartHealth:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._checks.store()
        except (StoreUnavailableError, TimeoutError):
            return PartHealth("store", "store", PartState.DOWN, "no answer, or no writes")
        return PartHealth("store", "store", PartState.UP)

    async def _check_provider(self, provider: OpenIdClient) -> PartHealth:
        try:
            async with asyncio.timeout(_PATIENCE):
                await provider.check_reachable(self._dependencies.clock())
        except ProviderLoginError as error:
            return PartHealth("provider", provider.issuer, PartState.DOWN, error.reason.value)
        except TimeoutError:
            return PartHealth("provider", provider.issuer, PartState.DOWN, "no answer in time")
        return PartHealth("provider", provider.issuer, PartState.UP)

    def _check_audit(self) -> Iterator[PartHealth]:
        """The AuditEvents of this worker, and where they go."""
        if self._audit is None:
            return
        log = self._audit.log
        state = PartState.DOWN if log.refuses_requests else PartState.UP
        detail = f"{log.spool.waiting_bytes} bytes wait"
        if log.lost:
            state, detail = max(state, PartState.DEGRADED, key=_SEVERITY.index), f"{detail}; {log.lost} events lost"
        yield PartHealth("audit_spool", "audit spool", state, detail)
        for name, sink in self._audit.delivery.states.items():
            is_failing = sink.is_failing
            text = f"{sink.delivered} events delivered" + (f", {sink.rejected} rejected" if sink.rejected else "")
            yield PartHealth("audit_sink", name, PartState.DOWN if is_failing else PartState.UP, text)


_SEVERITY = (PartState.UP, PartState.DEGRADED, PartState.DOWN)
