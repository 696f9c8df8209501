"""Which Redis a pod takes for the primary when it starts: never itself while another may have the writes."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.chart_files import CHART

_SCRIPTS = CHART / "files" / "redis"
_ME = "redis-0"
# Answers from files: one for each Sentinel and server; without a file nobody answers.
_REDIS_CLI = """#!/bin/sh
kind=server
[ "$3" != -p ] || kind=sentinel
cat "$ANSWERS/${2%%.*}-$kind" 2>/dev/null
"""
# Time passes only while somebody sleeps. After the tenth second the answers of `later` are there.
_SLEEP = """#!/bin/sh
now=$(($(cat "$ANSWERS/now") + 1))
echo $now >"$ANSWERS/now"
[ $now -lt 10 ] || cp "$ANSWERS"/later/* "$ANSWERS"/ 2>/dev/null || true
"""
_DATE = '#!/bin/sh\ncat "$ANSWERS/now"\n'


def _host(name: str) -> str:
    return f"{name}.redis.fhir.svc.cluster.local"


def _find_primary(folder: Path, answers: dict[str, str], before: str | None, later: dict[str, str]) -> tuple[str, int]:
    """The primary that this pod decides for, and the seconds that it waited."""
    programs = {"redis-cli": _REDIS_CLI, "sleep": _SLEEP, "date": _DATE, "timeout": '#!/bin/sh\nshift\nexec "$@"\n'}
    for place in ("bin", "answers/later"):
        (folder / place).mkdir(parents=True)
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    for name, answer in answers.items():
        (folder / "answers" / name).write_text(answer)
    for name, answer in later.items():
        (folder / "answers" / "later" / name).write_text(answer)
    (folder / "answers" / "now").write_text("0")
    if before is not None:
        (folder / "sentinel.conf").write_text(f"port 26379\nsentinel monitor gateway {_host(before)} 6379 2\n")
    script = (_SCRIPTS / "find-primary.sh").read_text().replace("/data/", f"{folder}/")
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "ANSWERS": str(folder / "answers"), "POD_NAME": _ME,
        "NAME": "redis", "DOMAIN": "redis.fhir.svc.cluster.local", "REPLICAS": "3",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-euc", f"{script}\nfind_primary"], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout.strip(), int((folder / "answers" / "now").read_text())


_SENTINEL_NAMES_2 = {"redis-1-sentinel": f"{_host('redis-2')}\n6379\n"}
_SERVER_FOLLOWS_2 = {"redis-1-server": f"slave\n{_host('redis-2')}\n6379\nconnected\n14\n"}


@pytest.mark.parametrize(
    ("answers", "before", "primary"),
    [
        pytest.param(_SENTINEL_NAMES_2, None, "redis-2", id="a Sentinel names it"),
        pytest.param(_SENTINEL_NAMES_2, _ME, "redis-2", id="a Sentinel names another, and it had the writes"),
        pytest.param(_SERVER_FOLLOWS_2, _ME, "redis-2", id="no Sentinel answers, and a server follows another"),
        pytest.param({"redis-2-server": "master\n1\n"}, _ME, "redis-2", id="only the primary itself answers"),
        pytest.param({}, "redis-1", "redis-1", id="nobody answers, and another had the writes"),
        pytest.param({"redis-1-server": f"slave\n{_host(_ME)}\n6379\n"}, None, _ME, id="the first start of all three"),
    ],
)  # fmt: skip
def test_what_others_say_counts_at_once(
    tmp_path: Path, answers: dict[str, str], before: str | None, primary: str
) -> None:
    assert _find_primary(tmp_path, answers, before, {}) == (_host(primary), 0)


def test_a_pod_that_nobody_lets_through_yet_waits_for_the_others(tmp_path: Path) -> None:
    assert _find_primary(tmp_path, {}, _ME, _SENTINEL_NAMES_2) == (_host("redis-2"), 10)


@pytest.mark.parametrize("before", [_ME, None], ids=["it had the writes", "it knows nothing"])
def test_where_nobody_answers_for_long_the_pod_goes_on_alone(tmp_path: Path, before: str | None) -> None:
    assert _find_primary(tmp_path, {}, before, {}) == (_host(_ME), 30)


def test_an_answer_that_names_no_server_of_the_release_is_none(tmp_path: Path) -> None:
    answers = {"redis-1-sentinel": "192.0.2.7\n6379\n", "redis-2-sentinel": f"{_host('redis-2')}\n"}
    assert _find_primary(tmp_path, answers, _ME, {}) == (_host("redis-2"), 0)
