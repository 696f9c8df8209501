"""The commands of the pages for operators run as they are printed, from top to bottom, and say what the page says."""

import pytest

from tests.docs.terminal import Shell, runnable_blocks

pytestmark = pytest.mark.sekmet

# What each block of a page prints, among other things.
EXPECTED = {
    "start.md": [
        ['"authorization_endpoint"', '"capabilities"'],
        ["token_missing"],
        ['"resourceType":"Patient"', '"id":"pat-a"'],
        ['"resourceType":"Bundle"', '"Patient/pat-a"'],
        ["not_found"],
    ],
    "why-403.md": [
        ["scope_insufficient"],
        ["refused, 403 scope_insufficient", "exit status 1: refused"],
        ["refused, 403 scope_insufficient", "exit status 1: refused"],
        ["refused, 403 scope_insufficient", "the scope patient/Condition.s", "exit status 1: refused"],
        ["permitted"],
        [],
        ['"reason":"not_found"'],
    ],
    "operating.md": [
        ["alive", "ready"],
        ["The configuration is valid."],
        ["is in force since", "unchanged: "],
        ["is in force", "before"],
        ["doctor"],
    ],
    "shadow-mode.md": [
        ["The configuration is valid."],
        ["is in force since"],
        ['"resourceType":"Bundle"', '"resourceType":"Condition"'],
        [
            "search-type Condition - scope_insufficient",
            "would help: the scope patient/Condition.s",
            "search-type Observation without",
            "These 2 kinds of requests would break.",
            "exit status 1: something would break",
        ],
        ["is in force since"],
    ],
    "audit-events.md": [
        ['"resourceType":"Bundle"'],
        ["search-type Observation", "pat-a", "resource"],
        ["Every chain is whole."],
    ],
    "upgrade-and-backup.md": [
        ["The configuration is valid."],
    ],
    "policy-diff.md": [
        [" is in force since"],
        ["/Patient/id-1/$everything", "/Observation", '"decision":"permitted"'],
        ["allowed -> refused: ", "$everything (refused now: operation_not_allowed)", "exit status 1: decisions change"],
        [" is in force since", "rolled_back: "],
    ],
    "selftest.md": [
        ["ok       discovery: ", "skipped  authorization: "],
        ["ok       authorization: its token ends when it is removed"],
    ],
    "keys.md": [
        ["Published: "],
        ["Published: "],
    ],
}


@pytest.mark.parametrize("page", EXPECTED)
def test_the_commands_of_a_page_run_and_print_what_it_says(page: str, shell: Shell) -> None:
    for block, expected in zip(runnable_blocks(page), EXPECTED[page], strict=True):
        shell.run_until(block, *expected)
