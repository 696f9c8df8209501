"""A FHIR server for users who sign in at a provider, and a hostile provider with its gateway."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.identity_providers.browser_login import with_providers
from tests.identity_providers.hostile_provider import HostileProvider, hostile_provider
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.smart_server.running_server import RunningServer, run_smart_server

# For the tests that need an issuer about which the gateway has cached nothing.
ISSUER_COUNT = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def charts() -> AsyncIterator[LenientServer]:
    """A FHIR server with two patients and a practitioner."""
    patients = [{"resourceType": "Patient", "id": name, "name": [{"text": name}]} for name in ("pat-a", "pat-b")]
    doctor = {"resourceType": "Practitioner", "id": "practitioner-1", "name": [{"text": "Dr Dora Demo"}]}
    async with lenient_server(*patients, doctor, Patient=("_id", "name"), Practitioner=("_id",)) as lenient:
        yield lenient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[HostileProvider]:
    """The hostile provider."""
    async with hostile_provider() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(provider: HostileProvider, charts: LenientServer) -> AsyncIterator[RunningServer]:
    """A gateway that knows all issuers of the hostile provider."""
    issuers = [provider.root, *(f"{provider.root}/{index}" for index in range(1, ISSUER_COUNT))]
    async with run_smart_server(charts.base_url, change=with_providers(*issuers)) as running:
        yield running


@pytest.fixture
def hostile(provider: HostileProvider) -> HostileProvider:
    """The first issuer, without tampering."""
    provider.impersonate(0)
    return provider


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """The numbers of the issuers that no test has used yet."""
    return iter(range(1, ISSUER_COUNT))


@pytest.fixture
def unknown(provider: HostileProvider, numbers: Iterator[int]) -> tuple[HostileProvider, int]:
    """An issuer about which the gateway has cached nothing, and its number."""
    index = next(numbers)
    provider.impersonate(index)
    return provider, index
