"""Which settings need a restart: each of them exists, and a change of it is named."""

from typing import Any

import pytest

from gateway.settings.loading.settings_table import describe_settings
from gateway.settings.model import Settings
from gateway.settings.serving.restart import NEEDS_RESTART, find_restart_settings

BASE: dict[str, Any] = {
    "public_base_url": "http://127.0.0.1:1/fhir",
    "development": True,
    "upstream": {"base_url": "http://127.0.0.1:2/fhir"},
    "smart_server": {},
    "issuers": [],
}


def test_each_of_them_is_a_setting_or_a_section() -> None:
    keys = [setting.key for setting in describe_settings()]
    for name in NEEDS_RESTART:
        assert any(key == name or key.startswith(f"{name}.") for key in keys), name


CHANGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "the addresses": (
        {"public_base_url": "http://127.0.0.1:3/fhir", "upstream": {"base_url": "http://127.0.0.1:4/fhir"}},
        ("public_base_url", "upstream.base_url"),
    ),
    "the sockets": (
        {"listen": {"port": 7, "trusted_proxies": ["10.0.0.1"]}, "metrics": {"host": "0.0.0.0"}},
        ("listen.port", "metrics.host"),
    ),
    "the store": ({"smart_server": {"store": "redis://store"}}, ("smart_server.store",)),
    "no SMART server any more": (
        {"smart_server": None, "issuers": [{"issuer": "http://127.0.0.1:9", "audiences": ["x"], "jwks_url": "http://127.0.0.1:9/k"}]},
        ("smart_server",),
    ),
    "policy, keys, limits and connections": (
        {
            "writes": {"allow": False},
            "limits": {"bundle_entries": 7},
            "log_level": "debug",
            "upstream": {"base_url": "http://127.0.0.1:2/fhir", "pool": {"connections": 7}},
            "smart_server": {"registration": True, "branding": {"name": "Hospital"}},
        },
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_named_of_a_change_of(case: str) -> None:
    changes, names = CHANGES[case]
    following = Settings.model_validate({**BASE, **changes})
    assert find_restart_settings(Settings.model_validate(BASE), following) == names
