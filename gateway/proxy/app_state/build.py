"""Builds the endpoint of app state from the settings."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from gateway.fhir.app_state.state_codes import StateCodes
from gateway.proxy.app_state.app_state_answers import AppStateAnswers, AppStateEndpoint
from gateway.proxy.fhir_endpoint import FhirProxy
from gateway.proxy.request_answers import ProxyDependencies
from gateway.settings.model import Settings
from gateway.storage.app_states import AppStateLimits, AppStates
from gateway.storage.backends.store import Store

_DAY = 86400.0


def build_app_state(
    settings: Settings,
    dependencies: ProxyDependencies,
    store: Store,
    find_codes: Callable[[str], Awaitable[tuple[StateCodes, ...]]],
) -> FhirProxy | None:
    """The ASGI application of app state, where it is configured. `find_codes` returns the codes of a client."""
    app_state, base = settings.app_state, settings.app_state_base()
    if app_state is None or base is None:
        return None
    lifetime = None if app_state.keep_days is None else app_state.keep_days * _DAY
    limits = AppStateLimits(app_state.max_resources, app_state.max_total_bytes, lifetime)
    endpoint = AppStateEndpoint(
        base=base,
        fhir_base=settings.public_base_url,
        states=AppStates(store, limits),
        find_codes=find_codes,
        body_limit=app_state.max_resource_bytes,
    )
    return FhirProxy(urlsplit(base).path, dependencies, AppStateAnswers(endpoint))


def discovery_members(settings: Settings) -> dict[str, object]:
    """What `.well-known/smart-configuration` says of app state (AS-1).

    The capability is that of this address, not of the FHIR base. Apps of SMART 2.1 look for the older name (D-22).
    """
    base = settings.app_state_base()
    if base is None:
        return {}
    return {
        "associated_endpoints": [{"url": base, "capabilities": ["smart-app-state"]}],
        "smart_app_state_endpoint": base,
    }
