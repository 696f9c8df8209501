"""A FHIR server for everybody who signs in with a provider."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.gateway.lenient import Lenient, lenient_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def charts() -> AsyncIterator[Lenient]:
    """Two patients and a practitioner."""
    people = [{"resourceType": "Patient", "id": name, "name": [{"text": name}]} for name in ("pat-a", "pat-b")]
    doctor = {"resourceType": "Practitioner", "id": "practitioner-1", "name": [{"text": "Dr Dora Demo"}]}
    async with lenient_server(*people, doctor, Patient=("_id", "name"), Practitioner=("_id",)) as lenient:
        yield lenient
