"""Granular scopes, as Inferno asks for them: searches are narrowed to the granted categories, reads bounded by them."""

import pytest

from tests.servers.people import OBSERVATION_CATEGORY
from tests.upstreams.asking import FORM, Front, Grant
from tests.upstreams.stored import (
    CONDITION_CATEGORY,
    US_CORE_CATEGORY,
    US_CORE_CONDITION,
    Where,
    about,
    categorised,
    coded,
    of_type,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What Inferno asks for in its two rounds of granular scopes (clients-and-suites.md 4.7).
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
# The searches that a suite repeats, with and without what they ask of category, date and code.
REPEATED: tuple[tuple[str, str, Where], ...] = (
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


def granular(granted: dict[str, tuple[str, ...]]) -> Grant:
    scopes = [f"patient/{kind}.rs?category={token}" for kind, tokens in granted.items() for token in tokens]
    return Grant(" ".join(["launch/patient", *scopes]))


@pytest.mark.requirement("SC-19", "SC-22", "G-3")
@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("granted", GRANTED.values(), ids=GRANTED)
@pytest.mark.parametrize(("kind", "query", "asked"), REPEATED, ids=[f"{row[0]}?{row[1]}" for row in REPEATED])
async def test_granular_scopes_narrow_every_search(
    front: Front, kind: str, query: str, asked: Where, granted: dict[str, tuple[str, ...]], verb: str
) -> None:
    """G-b: the ids of the same search under a wide scope, of which any granted category matches."""
    if verb == "GET":
        answers = await front.pages(f"/{kind}?{query}", granular(granted))
    else:
        answers = await front.pages(
            f"/{kind}/_search", granular(granted), method="POST", content=query.replace("|", "%7C"), headers=FORM
        )
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert front.found(answers) == front.expected(of_type(kind, about("pat-a"), asked, categorised(*granted[kind])))


@pytest.mark.requirement("SC-19", "SC-22", "G-3")
@pytest.mark.parametrize("granted", GRANTED.values(), ids=GRANTED)
async def test_granular_scopes_bound_every_read(front: Front, granted: dict[str, tuple[str, ...]]) -> None:
    """G-c, G-d: what matches a granted category is read, what does not is an OperationOutcome."""
    grant = granular(granted)
    for kind, tokens in granted.items():
        readable = front.expected(of_type(kind, about("pat-a"), categorised(*tokens)))
        for name in front.expected(of_type(kind, about("pat-a"))):
            answer = await front.ask(f"/{name}", grant)
            assert (answer.status_code, answer.json()["resourceType"]) == (
                (200, kind) if name in readable else (404, "OperationOutcome")
            )


async def test_every_granted_category_has_records(front: Front) -> None:
    """Were there none, the tests above would compare nothing with nothing."""
    for granted in GRANTED.values():
        for kind, tokens in granted.items():
            for token in tokens:
                assert front.expected(of_type(kind, about("pat-a"), categorised(token))), token
