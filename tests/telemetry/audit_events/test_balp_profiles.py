"""AuditEvents satisfy R4 and the profiles of IHE BALP that they claim, as HAPI's validator judges it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.real_servers.servers_under_test import NEEDS_HAPI
from tests.servers.validator_process import validate_resources
from tests.telemetry.audit_events.balp_profiles import BALP, PROFILES, write_profiles
from tests.telemetry.audit_events.sample_events import sample_events

pytestmark = [pytest.mark.hapi, NEEDS_HAPI]


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profiles of the folder in `SMART_GATEWAY_BALP`, else those of our own table."""
    if "SMART_GATEWAY_BALP" in os.environ:
        return Path(os.environ["SMART_GATEWAY_BALP"])
    folder = tmp_path_factory.mktemp("profiles")
    write_profiles(folder)
    return folder


def test_every_kind_of_event_is_valid(profiles: Path) -> None:
    samples = list(sample_events())
    problems = validate_resources((sample.line for sample in samples), profiles)
    assert {sample.name: found for sample, found in zip(samples, problems, strict=True) if found} == {}


def test_every_profile_is_claimed_by_some_event() -> None:
    claimed = {
        profile for sample in sample_events() for profile in json.loads(sample.line).get("meta", {}).get("profile", ())
    }
    assert claimed == {f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}" for name in PROFILES}


# What is done to a valid event, and words of the error that follows.
FAULTS: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "the client has no address": ("read", lambda event: event["agent"][0].pop("network"), "agent:client.network"),
    "the action is another one": ("read", lambda event: event.update(action="E"), "fixed to 'R'"),
    "the outcome is a failure": ("read", lambda event: event.update(outcome="4"), "fixed to '0'"),
    "there are two patients": ("read", lambda event: event["entity"].append(_patient(event)), "entity:patient: max"),
    "there is no patient": ("read", lambda event: event["entity"].remove(_patient(event)), "entity:patient"),
    "the query is missing": ("search", lambda event: event["entity"][1].pop("query"), "entity:query.query"),
    "the token has no id": ("read", lambda event: event["agent"][2].pop("policy"), "agent:oUser.policy"),
    "the server has no role": ("delete", lambda event: event["agent"][1].update(type={"text": "x"}), "agent:server"),
    "the base type is broken": ("read", lambda event: event.pop("recorded"), "AuditEvent.recorded"),
}  # fmt: skip


def _patient(event: Any) -> Any:
    return next(entity for entity in event["entity"] if entity.get("role", {}).get("code") == "1")


def test_the_validator_finds_what_is_wrong(profiles: Path) -> None:
    valid = {sample.name: sample.line for sample in sample_events()}
    broken = []
    for interaction, do, _ in FAULTS.values():
        event = json.loads(valid[f"in full, a user, {interaction}, 200"])
        do(event)
        broken.append(json.dumps(event).encode())
    problems = validate_resources(broken, profiles)
    for (name, (_, _, words)), found in zip(FAULTS.items(), problems, strict=True):
        assert any(words in problem for problem in found), (name, found)
