"""The apps of docs/bringing-an-app.md can be registered as they are printed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings.authorization.clients import ClientEntry

TEXT = (Path(__file__).parents[2] / "docs" / "bringing-an-app.md").read_text(encoding="utf-8")
BLOCKS: dict[str, Any] = {
    name: yaml.safe_load(block)
    for name, block in re.findall(r"<!-- client: ([\w-]+) -->\n```yaml\n(.*?)```", TEXT, re.DOTALL)
}


def test_each_block_is_a_client() -> None:
    assert TEXT.count("```yaml") == len(BLOCKS) > 0


@pytest.mark.parametrize("name", BLOCKS)
def test_each_client_can_be_registered(name: str) -> None:
    client = ClientEntry.model_validate(BLOCKS[name]).to_client()
    assert client.client_id == name


def test_only_the_app_of_smart_1_goes_without_pkce() -> None:
    assert [name for name, entry in BLOCKS.items() if ClientEntry.model_validate(entry).to_client().is_unproven] == [
        "smart-1-app"
    ]
