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
        ["doctor"],
    ],
    "audit-events.md": [
        ['"resourceType":"Bundle"'],
        ["search-type Observation", "pat-a", "resource"],
        ["Every chain is whole."],
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
