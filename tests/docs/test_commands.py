"""Every command and every configuration of the documentation is one that the code accepts."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import CycloptsError, MissingArgumentError

from gateway.commands.command_line import app
from gateway.policy.reasons import Reason
from gateway.settings.loading.load import SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("*/README.md")]
PAGES += sorted((ROOT / "deploy").rglob("README.md"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELL = {"", "sh"}
# Its values are those of charts, and tests/chart checks them.
_CHART_PAGE = "kubernetes.md"
_BASE = {"public_base_url": "https://fhir.example.org/r4", "upstream": {"base_url": "http://fhir.internal:8080/fhir"}}


@dataclass(frozen=True)
class Passage:
    """A command or a configuration, and the page where it stands."""

    page: Path
    text: str
    is_inline: bool = False

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0][:60]}"


def _command_lines() -> Iterator[Passage]:
    """The lines of all shell blocks, with those that a backslash continues, and every inline piece of code."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, block in _FENCE.findall(text):
            if language in _SHELL:
                yield from (Passage(page, line) for line in re.sub(r"\\\n\s*", "", block).splitlines())
        yield from (Passage(page, code, is_inline=True) for code in re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)))


def _gateway_commands() -> Iterator[Passage]:
    for line in _command_lines():
        for rest in re.split(r"\bsmart-gateway (?=[a-z-])", line.text)[1:]:
            yield Passage(line.page, rest, line.is_inline)


def _make_commands() -> Iterator[Passage]:
    for line in _command_lines():
        found = re.match(r"make ([a-z][^#&|]*)", line.text)
        if found:
            yield Passage(line.page, found[1].strip())


def _words(command: str) -> list[str]:
    """The words of a command line, as far as the command goes: up to a pipe, a comment or the end of a substitution."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        words.append(word)
    return words


def _configurations() -> Iterator[Passage]:
    for page in PAGES:
        text = re.sub(r"<!-- client: .*? -->\n```yaml\n.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        if page.name != _CHART_PAGE:
            yield from (Passage(page, block) for language, block in _FENCE.findall(text) if language == "yaml")


COMMANDS = list(_gateway_commands())
MAKES = list(_make_commands())
CONFIGURATIONS = list(_configurations())


@pytest.mark.parametrize("passage", COMMANDS, ids=str)
def test_a_command_has_only_options_that_exist(passage: Passage) -> None:
    try:
        app.parse_args(_words(passage.text), exit_on_error=False, print_error=False)
    except MissingArgumentError:
        # A sentence may name a command alone.
        assert passage.is_inline
    except CycloptsError as error:
        pytest.fail(f"{passage.page.name}: smart-gateway {passage.text}\n{error}")


@pytest.mark.parametrize("passage", MAKES, ids=str)
def test_a_make_command_has_a_target_and_variables_that_exist(passage: Passage) -> None:
    target, *variables = passage.text.split()
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE)
    assert [name for name, _, _ in (word.partition("=") for word in variables) if f"$({name})" not in MAKEFILE] == []


def _on_this_machine(text: str, secret: Path) -> str:
    """The configuration with files and directories that exist."""
    return re.sub(r"/var/l(?:ib|og)/smart-gateway", str(secret.parent), re.sub(r"/run/secrets/\S+", str(secret), text))


@pytest.mark.parametrize("passage", CONFIGURATIONS, ids=str)
def test_a_configuration_is_valid(passage: Passage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("kx3!vT9#mQ2$wZ8&", encoding="utf-8")
    settings: dict[str, Any] = _BASE | yaml.safe_load(_on_this_machine(passage.text, secret))
    if not settings.keys() & {"smart_server", "issuers"}:
        settings["smart_server"] = {}
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    try:
        load_settings(path, {})
    except SettingsError as error:
        pytest.fail(f"{passage.page.name}:\n{error}")


def test_the_reasons_of_why_403_exist() -> None:
    page = (ROOT / "docs" / "why-403.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    assert named
    assert [name for name in named if name not in set(Reason)] == []


def test_commands_are_found_at_all() -> None:
    """A pattern that matches nothing would make every test here pass."""
    assert len(COMMANDS) >= 40
    assert len(MAKES) >= 20
    assert len(CONFIGURATIONS) >= 5
