"""Granular scopes as in Inferno's tests: searches and reads are limited to the granted categories."""

import pytest

from tests.real_servers.gateway_requests import FORM, Gateways, TokenGrant
from tests.real_servers.stored_resources import (
    CONDITION_CATEGORY,
    US_CORE_CATEGORY,
    US_CORE_CONDITION,
    Condition,
    about,
    categorised,
    coded,
    of_type,
)
from tests.servers.people import OBSERVATION_CATEGORY

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The scopes of Inferno's two rounds of granular scopes (clients-and-suites.md 4.7).
GRANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "first": {
        "Condition": (f"{CONDITION_CATEGORY}|encounter-diagnosis", f"{US_CORE_CONDITION}|health-concern"),
        "Observation": (f"{OBSERVATION_CATEGORY}|laboratory", f"{OBSERVATION_CATEGORY}|social-history"),
    },
    "second": {
        "Condition": (f"{CONDITION_CATEGORY}|problem-list-item",),
        "Observation": (
            f"{OBSERVATION_CATEGORY}|vital-signs",
            f"{OBSERVATION_CATEGORY}|survey",
            f"{US_CORE_CATEGORY}|sdoh",
        ),
    },
}
# The searches that a suite repeats, with the conditions on category and code.
REPEATED: tuple[tuple[str, str, Condition], ...] = (
    ("Condition", "patient=Patient/pat-a", lambda _: True),
    (
        "Condition",
        f"patient=Patient/pat-a&category={CONDITION_CATEGORY}|problem-list-item",
        categorised(f"{CONDITION_CATEGORY}|problem-list-item"),
    ),
    ("Observation", "patient=Patient/pat-a", lambda _: True),
    (
        "Observation",
        f"patient=Patient/pat-a&category={OBSERVATION_CATEGORY}|vital-signs",
        categorised(f"{OBSERVATION_CATEGORY}|vital-signs"),
    ),
    (
        "Observation",
        f"patient=Patient/pat-a&category={OBSERVATION_CATEGORY}|laboratory&date=ge2000-01-01",
        categorised(f"{OBSERVATION_CATEGORY}|laboratory"),
    ),
    ("Observation", "patient=Patient/pat-a&code=72166-2", coded("72166-2")),
)


def granular(granted: dict[str, tuple[str, ...]]) -> TokenGrant:
    scopes = [f"patient/{kind}.rs?category={token}" for kind, tokens in granted.items() for token in tokens]
    return TokenGrant(" ".join(["launch/patient", *scopes]))


@pytest.mark.requirement("SC-19", "SC-22", "G-3")
@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("granted", GRANTED.values(), ids=GRANTED)
@pytest.mark.parametrize(("kind", "query", "asked"), REPEATED, ids=[f"{row[0]}?{row[1]}" for row in REPEATED])
async def test_granular_scopes_narrow_every_search(
    gateways: Gateways, kind: str, query: str, asked: Condition, granted: dict[str, tuple[str, ...]], verb: str
) -> None:
    """G-b: the search finds what it finds with a wide scope and what has a granted category."""
    if verb == "GET":
        responses = await gateways.follow_pages(f"/{kind}?{query}", granular(granted))
    else:
        responses = await gateways.follow_pages(
            f"/{kind}/_search", granular(granted), method="POST", content=query.replace("|", "%7C"), headers=FORM
        )
    assert [response.status_code for response in responses] == [200] * len(responses)
    assert gateways.found_names(responses) == gateways.expected_names(
        of_type(kind, about("pat-a"), asked, categorised(*granted[kind]))
    )


@pytest.mark.requirement("SC-19", "SC-22", "G-3")
@pytest.mark.parametrize("granted", GRANTED.values(), ids=GRANTED)
async def test_granular_scopes_bound_every_read(gateways: Gateways, granted: dict[str, tuple[str, ...]]) -> None:
    """G-c, G-d: resources with a granted category can be read; for others, the response is an OperationOutcome."""
    grant = granular(granted)
    for kind, tokens in granted.items():
        readable = gateways.expected_names(of_type(kind, about("pat-a"), categorised(*tokens)))
        for name in gateways.expected_names(of_type(kind, about("pat-a"))):
            response = await gateways.request(f"/{name}", grant)
            assert (response.status_code, response.json()["resourceType"]) == (
                (200, kind) if name in readable else (404, "OperationOutcome")
            )


async def test_every_granted_category_has_records(gateways: Gateways) -> None:
    """Otherwise, the tests above could compare empty results."""
    for granted in GRANTED.values():
        for kind, tokens in granted.items():
            for token in tokens:
                assert gateways.expected_names(of_type(kind, about("pat-a"), categorised(token))), token
