"""The OpenAPI description of the API at the admin port, as docs/admin-openapi.json has it.

python -m scripts.document_tables writes it with the tables of the documentation.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.admin.api.openapi import describe
from gateway.admin.api.operation import Operation
from gateway.admin.api.routes import operations
from gateway.admin.build import build_administration
from gateway.admin.health import HealthChecks
from gateway.admin.lasting_parts import LastingAdminParts
from gateway.settings.model import Settings
from gateway.smart_server.assembly import SmartServerAssembly
from gateway.smart_server.lasting_parts import LastingServerParts
from gateway.telemetry.decisions.recent_decisions import RecentDecisions, SharedDecisions
from gateway.upstream.documents.control_client import ControlClient

FILE = Path(__file__).resolve().parents[1] / "docs" / "admin-openapi.json"


class _NoFhirServer:
    async def get(self, *_: object) -> Mapping[str, Any]:
        raise AssertionError


async def _nobody_asks() -> None:
    raise AssertionError


async def _nobody_asks_for_text() -> str:
    raise AssertionError


def described_operations() -> tuple[Operation, ...]:
    """The operations of an admin port that nothing is connected to."""
    return asyncio.run(_describe_unconnected())


async def _describe_unconnected() -> tuple[Operation, ...]:
    settings = Settings.model_validate(
        {
            "public_base_url": "http://127.0.0.1:1/fhir",
            "development": True,
            "smart_server": {},
            "upstream": {"base_url": "http://127.0.0.1:2/fhir"},
        }
    )
    assert settings.smart_server is not None
    lasting, client = LastingServerParts(settings.smart_server, development=True), ControlClient()
    assembly = SmartServerAssembly(settings, lasting)
    assembly.open(_NoFhirServer(), client, lambda _: None)
    parts = LastingAdminParts(RecentDecisions(SharedDecisions(1, 64 * 1024)))
    checks = HealthChecks(_nobody_asks_for_text, _nobody_asks)
    described = operations(build_administration(settings, assembly.dependencies, parts, checks))
    await lasting.aclose()
    await client.aclose()
    return described


def description_text() -> str:
    """The description as it is kept in the file."""
    return json.dumps(describe(described_operations()), indent=1, sort_keys=True) + "\n"
