"""The rules of decisions as the running gateway has them: of the settings, and of what the FHIR server declares."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.resources.fhir_version import FhirVersion, read_fhir_version
from gateway.fhir.resources.undeclared_parameters import find_undeclared_parameters
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.permission.reach import UserFacts
from gateway.policy.permission.rules import Rules
from gateway.proxy.build import build_fhir_server, build_page_links, build_user_compartments
from gateway.proxy.fhir_server import UPSTREAM_HEADERS, FhirServer
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.settings.model import Settings
from gateway.upstream.build import build_authentication, build_connection_pool, build_exchange
from gateway.upstream.documents.control_client import ControlClient

_Response = TypeVar("_Response")
# What the log of the FHIR server shows.
_REQUEST_ID = b"explain"


@dataclass(frozen=True, slots=True)
class LiveRules:
    """The rules, and whether the FHIR server speaks a version that can be judged.

    `problem` says why the server's CapabilityStatement could not be read from here; empty if it was read.
    """

    rules: Rules
    is_server_supported: bool = True
    problem: str = ""


def read_live_rules(settings: Settings) -> LiveRules:
    """Read the CapabilityStatement, as the gateway does at its start."""
    rules = settings.rules()
    try:
        statement = orjson.loads(asyncio.run(_ask_server(settings, _fetch_statement)))
        version, _ = read_fhir_version(statement)
    except RequestRefused as refused:
        return LiveRules(rules, problem=refused.deny.reason.value)
    except (ValueError, RecursionError):
        return LiveRules(rules, problem="it is not JSON")
    rules = replace(rules, unsupported_parameters=find_undeclared_parameters(statement))
    return LiveRules(rules, is_server_supported=version is not FhirVersion.OTHER)


def look_up_user(settings: Settings, user: Reference) -> UserFacts | None:
    """The compartments of a user, looked up as the gateway does; None if that is not possible from here."""

    async def look_up(server: FhirServer) -> UserFacts:
        users = build_user_compartments(settings, server, build_page_links(settings))
        return await users.look_up(user, UpstreamTrace(_REQUEST_ID), time.time())

    try:
        return asyncio.run(_ask_server(settings, look_up))
    except RequestRefused:
        return None


async def _fetch_statement(server: FhirServer) -> bytes:
    return await server.fetch_own(UpstreamRequest("/metadata"), UpstreamTrace(_REQUEST_ID))


async def _ask_server(settings: Settings, ask: Callable[[FhirServer], Awaitable[_Response]]) -> _Response:
    control_client = ControlClient()
    authentication = build_authentication(settings.upstream.authentication, control_client)
    pool = build_connection_pool(settings.upstream, authentication, UPSTREAM_HEADERS)
    try:
        server = build_fhir_server(
            settings.upstream, build_exchange(settings.upstream, pool, authentication), pool.base_path
        )
        return await ask(server)
    finally:
        await pool.aclose()
        await control_client.aclose()
