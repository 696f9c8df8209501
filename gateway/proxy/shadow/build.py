"""Builds shadow mode from the settings."""

from collections.abc import Callable

from gateway.policy.paging_link import Sealer
from gateway.proxy.decision_executor import DecisionExecutor
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_answers import ProxyDependencies
from gateway.proxy.search_and_history.sealed_links import PageStore, SealedLinks
from gateway.proxy.shadow.shadow_judge import ShadowJudge
from gateway.proxy.shadow.shadowed_answers import ShadowedAnswers, ShadowParts
from gateway.proxy.shadow.shadowed_callers import ShadowedCaller, ShadowedCallers
from gateway.proxy.shadow.unsent_writes import UnsentWrites
from gateway.proxy.writing.write_parts import WriteParts
from gateway.settings.model import Settings


def build_shadowed_callers(settings: Settings) -> ShadowedCallers:
    """The callers that the settings name."""
    return ShadowedCallers(
        [ShadowedCaller(entry.issuer, entry.client_id, entry.ends_at, entry.opening()) for entry in settings.shadow]
    )


def build_shadow_links(settings: Settings, key: bytes, pages: PageStore) -> SealedLinks:
    """The paging links of shadow mode. `key` is that of all other links, which cannot open these, nor these them."""
    return SealedLinks(
        Sealer(b"shadow mode\x00" + key),
        pages,
        public_base=settings.public_base_url,
        lifetime=settings.paging.lifetime_seconds,
    )


def build_shadowed_answers(
    callers: ShadowedCallers,
    sealed_links: SealedLinks,
    build_executor: Callable[[SealedLinks], DecisionExecutor],
    server: FhirServer,
    page_links: PageLinks,
    writes: WriteParts,
    dependencies: ProxyDependencies,
) -> ShadowedAnswers:
    """The answers to all requests, those of callers in shadow mode among them."""
    checks = ResourceChecks(server)
    judge = ShadowJudge(server, checks, page_links, dependencies.executor, UnsentWrites(writes), dependencies.telemetry)
    parts = ShadowParts(callers, sealed_links, build_executor(sealed_links), judge)
    return ShadowedAnswers(dependencies, parts)
