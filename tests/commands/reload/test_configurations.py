"""What a process knows of configurations: which files are looked at, what is refused, and the way back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.serving.configurations import Configurations
from gateway.commands.serving.start_rules import START_RULES
from gateway.policy.decision import certain_decisions
from gateway.policy.decision_types import Allow, PassThrough, UpstreamRequest
from gateway.smart_server.configuration_control import ReloadRefusedError
from gateway.telemetry.configuration_metrics import ReloadOutcome


def _write(path: Path, **changes: Any) -> None:
    values = {
        "public_base_url": "http://127.0.0.1:1/fhir",
        "development": True,
        "upstream": {"base_url": "http://127.0.0.1:2/fhir"},
        "smart_server": {},
        **changes,
    }
    following = path.with_suffix(".new")
    following.write_text(json.dumps(values))
    following.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    _write(file)
    return file


@pytest.fixture
def configurations(path: Path) -> Configurations:
    return Configurations(path, {}, START_RULES)


def test_a_changed_file_counts_when_two_looks_find_the_same(configurations: Configurations, path: Path) -> None:
    assert not configurations.has_changed()
    _write(path, log_level="debug")
    assert not configurations.has_changed()
    _write(path, log_level="error")
    assert not configurations.has_changed()
    assert configurations.has_changed()
    following = configurations.read_next()
    assert following is not None
    assert following.settings.log_level == "error"
    configurations.use(following)
    assert not configurations.has_changed()
    assert configurations.read_next() is None


def test_a_file_that_goes_away_and_comes_back_is_no_change_of_what_is_in_force(
    configurations: Configurations, path: Path
) -> None:
    text = path.read_text()
    path.unlink()
    assert [configurations.has_changed() for _ in range(2)] == [False, True]
    with pytest.raises(ReloadRefusedError, match="cannot be read: no such file or directory"):
        configurations.read_next()
    path.write_text(text)
    assert [configurations.has_changed() for _ in range(2)] == [False, True]
    assert configurations.read_next() is None
    assert configurations.problems == ()


REFUSALS: dict[str, tuple[dict[str, Any], ReloadOutcome, str]] = {
    "it is not valid": ({"log_level": "loud"}, ReloadOutcome.INVALID, r"gateway\.yaml:1: log_level: must be"),
    "it needs a restart": (
        {"upstream": {"base_url": "http://127.0.0.1:3/fhir"}},
        ReloadOutcome.NEEDS_RESTART,
        r"^needs a restart: upstream\.base_url$",
    ),
    "a rule of the start does not hold": (
        {"smart_server": {"store": "postgres://x"}},
        ReloadOutcome.INVALID,
        r"smart_server\.store: cannot be used",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_configuration_is_refused_because(configurations: Configurations, path: Path, case: str) -> None:
    changes, outcome, sentence = REFUSALS[case]
    before = configurations.current
    _write(path, **changes)
    with pytest.raises(ReloadRefusedError, match=sentence) as refused:
        configurations.read_next()
    assert refused.value.outcome is outcome
    assert configurations.problems == refused.value.problems
    assert configurations.current is before
    # What it depends on may come later.
    assert [configurations.has_changed() for _ in range(2)][-1]


def test_a_configuration_is_refused_that_breaks_what_must_always_hold(
    configurations: Configurations, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_everything: Callable[..., Allow] = lambda *_: Allow(UpstreamRequest("/x"), PassThrough())  # noqa: E731
    monkeypatch.setattr(certain_decisions, "decide", pass_everything)
    _write(path, log_level="debug")
    with pytest.raises(ReloadRefusedError, match="always hold: a token without scopes reads and writes nothing"):
        configurations.read_next()


def test_the_way_back_is_open_once_and_the_files_wait_for_a_change(configurations: Configurations, path: Path) -> None:
    first = configurations.current
    _write(path, log_level="debug")
    following = configurations.read_next()
    assert following is not None
    configurations.use(following)
    configurations.go_back()
    assert configurations.current is first
    assert configurations.previous is None
    assert configurations.problems == (f"{following.version}, which the files still have, was rolled back",)
    assert not any(configurations.has_changed() for _ in range(3))
    # Who asks for it gets it again.
    again = configurations.read_next()
    assert again is not None
    assert again.version == following.version
