"""Granted scopes are limited to what was requested, and to what the client and the user may have."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.smart_server.consent_pages import (
    LABORATORY,
    restrict_clients_and_users,
)
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A SMART server with clients and users that have fewer rights than others."""
    async with run_smart_server(fhir_server, change=restrict_clients_and_users) as running:
        yield running


async def granted_scopes(
    server: RunningServer, scope: str, *, client_id: str = "public-app", **options: Any
) -> set[str]:
    """The granted scopes if the user agrees to everything."""
    answer = await server.request_tokens(server.app(client_id), scope, **options)
    return set(answer["scope"].split())


CUTS: dict[str, tuple[str, str, str, str]] = {
    "all that was asked": ("public-app", "doctor", "patient/Observation.rs", "launch/patient patient/Observation.rs"),
    "writing, which no user may grant": (
        "public-app",
        "doctor",
        "patient/Observation.cruds",
        "launch/patient patient/Observation.rs",
    ),
    "v1 words stay v1 words": (
        "public-app",
        "doctor",
        "patient/Observation.read",
        "launch/patient patient/Observation.read",
    ),
    "v1 that is cut stays v1 where v1 can say it": (
        "public-app",
        "doctor",
        "patient/Observation.*",
        "launch/patient patient/Observation.read",
    ),
    "a v1 wildcard": ("public-app", "doctor", "patient/*.read", "launch/patient patient/*.read"),
    "a wildcard stays a wildcard": ("public-app", "doctor", "user/*.rs", "user/*.rs"),
    "letters by themselves": (
        "public-app",
        "doctor",
        "user/Observation.r user/Condition.s",
        "user/Observation.r user/Condition.s",
    ),
    "no system scope for a person": ("public-app", "doctor", "system/*.rs user/Patient.r", "user/Patient.r"),
    "duplicates collapse": (
        "public-app",
        "doctor",
        "openid  openid user/Patient.r user/Patient.r",
        "openid user/Patient.r",
    ),
    "the client's constraint is added": (
        "labs-app",
        "doctor",
        "patient/Observation.rs",
        "launch/patient patient/Observation.rs?category=laboratory",
    ),
    "both constraints hold": (
        "labs-app",
        "doctor",
        "patient/Observation.rs?code=1234-5",
        "launch/patient patient/Observation.rs?code=1234-5&category=laboratory",
    ),
    "a wildcard is cut to what the client may": (
        "labs-app",
        "doctor",
        "patient/*.rs",
        "launch/patient patient/Observation.rs?category=laboratory patient/Patient.r",
    ),
    "another context is not the client's": (
        "user-app",
        "doctor",
        "user/*.rs patient/*.rs",
        "user/Patient.rs user/Observation.r",
    ),
    "identity must be registered too": ("user-app", "doctor", "openid fhirUser user/Patient.r", "user/Patient.r"),
    "the user's own limits": (
        "public-app",
        "registrar",
        "patient/*.rs",
        "launch/patient patient/Patient.r patient/Observation.rs?category=vital-signs",
    ),
    "fhirUser without openid": ("public-app", "doctor", "fhirUser user/Patient.r", "user/Patient.r"),
    "fhirUser of somebody without a record": ("public-app", "clerk", "openid fhirUser", "openid"),
    "unknown extensions": ("public-app", "doctor", "openid __photo https://ehr.example/scopes/x", "openid"),
    "known extensions": (
        "custom-app",
        "doctor",
        "openid __photo https://ehr.example/scopes/photo.manage",
        "openid __photo https://ehr.example/scopes/photo.manage",
    ),
    "no refresh for who may not": ("never-app", "doctor", "openid offline_access online_access", "openid"),
    "a chain is never granted": ("public-app", "doctor", "openid user/Observation.rs?patient.birthdate=1990", "openid"),
    "a modifier is never granted": ("public-app", "doctor", "openid user/Observation.rs?code:in=http://v", "openid"),
    "a result parameter is never granted": (
        "public-app",
        "doctor",
        "openid user/Patient.rs?_include=Patient:organization",
        "openid",
    ),
    "a wide scope beside a narrow one": (
        "public-app",
        "doctor",
        f"user/Observation.rs user/Observation.rs?category={LABORATORY}",
        "user/Observation.rs",
    ),
    "letters do not borrow": (
        "public-app",
        "doctor",
        f"user/Observation.r?category={LABORATORY} user/Observation.s",
        f"user/Observation.r?category={LABORATORY} user/Observation.s",
    ),
}


@pytest.mark.requirement("SC-8", "SC-9", "SC-11", "SC-13", "SC-14", "SC-16", "SC-21", "SC-23", "SC-24", "SC-29",
                         "SC-31", "SC-32", "SC-33", "SC-42", "SC-44", "EX-2", "G-2", "edge-92", "edge-93", "edge-94",
                         "edge-95", "edge-97", "edge-98", "edge-100", "edge-102", "edge-103")  # fmt: skip
@pytest.mark.parametrize(("client_id", "user", "requested", "expected"), CUTS.values(), ids=CUTS)
async def test_what_is_granted_is_cut_to_what_everybody_may(
    server: RunningServer, client_id: str, user: str, requested: str, expected: str
) -> None:
    assert await granted_scopes(server, requested, client_id=client_id, user=user) == set(expected.split())


@pytest.mark.requirement("edge-101", "SC-33")
@pytest.mark.parametrize(
    ("client_id", "user", "scope"),
    [
        ("public-app", "clerk", "patient/*.rs"),
        ("public-app", "doctor", "system/*.rs"),
        ("public-app", "doctor", "user/Observation.cud"),
        ("public-app", "doctor", "launch/patient offline_access"),
        ("user-app", "doctor", "user/Condition.rs openid"),
        ("labs-app", "doctor", "patient/Condition.rs"),
    ],
)
async def test_where_nothing_can_be_granted_the_app_is_told(
    server: RunningServer, client_id: str, user: str, scope: str
) -> None:
    page = await server.person().open(server.app(client_id).authorization_url(scope))
    if page.left_for is None:
        page = await server.people[-1].sign_in(page, user)
    assert page.parameters["error"] == "invalid_scope"
