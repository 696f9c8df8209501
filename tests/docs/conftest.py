"""A running gateway for the commands of the documentation, one for all of its tests."""

from collections.abc import Iterator

import pytest

from tests.docs.terminal import Shell, open_terminal


@pytest.fixture(scope="session")
def terminal() -> Iterator[Shell]:
    yield from open_terminal()


@pytest.fixture
def shell(terminal: Shell) -> Shell:
    """A new shell: what another page has set is not known."""
    return Shell(terminal.folder, terminal.environment)
