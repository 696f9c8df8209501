"""The corpus of writes that went wrong elsewhere (cases.txt): each request has the status that is right."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proxy.running_gateway import RunningGateway
from tests.proxy.writing.record_server import RecordServer
from tests.proxy.writing.writes import write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
_REQUEST = re.compile(
    r"(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<header>[A-Z][A-Za-z-]+): (?P<value>\S+))?(?: (?P<body>[\[{].*))?"
    r" -> (?P<status>\d+)(?P<empty> empty)?"
)


@dataclass(frozen=True)
class Case:
    """One block of the corpus."""

    id: str
    sentence: str
    scope: str
    requests: tuple[re.Match[str], ...]


def _read_cases() -> list[Case]:
    text = Path(__file__).with_name("cases.txt").read_text(encoding="ascii")
    blocks = [block.splitlines() for block in text.split("\n\n") if not block.startswith("#")]
    return [_read_case([line.strip() for line in block if line.strip()]) for block in blocks]


def _read_case(lines: list[str]) -> Case:
    case_id, _, sentence = lines[0].partition(" ")
    matches = [_REQUEST.fullmatch(line) for line in lines[2:]]
    assert matches
    assert all(matches), lines
    return Case(case_id, sentence, lines[1], tuple(match for match in matches if match is not None))


CASES = _read_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.id} {case.sentence}" for case in CASES])
async def test_it_does_not_go_wrong_here(case: Case, honest: Pair, ignorant: Pair) -> None:
    for gateway, server in (honest, ignorant):
        await _try(case, gateway, server)


async def _try(case: Case, gateway: RunningGateway, server: RecordServer) -> None:
    for match in case.requests:
        before = dict(server.records)
        headers = {match["header"]: match["value"]} if match["header"] else {}
        response = await write(gateway, match["method"], match["path"], match["body"], case.scope, **headers)
        assert response.status_code == int(match["status"]), (match[0], response.text)
        assert not match["empty"] or response.content == b""
        assert response.status_code < 300 or server.records == before
        assert server.records["Observation", "o-b"] == before["Observation", "o-b"]
