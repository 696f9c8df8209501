"""Names that others rely on stay, or are deprecated first (docs/stability.md)."""

import pytest
from packaging.version import Version

from scripts.published_names import (
    PublishedName,
    broken_promises,
    current_problems,
    names_of_the_code,
    read_deprecations,
)

OLD = PublishedName("setting", "listen.hots")
NEW = PublishedName("setting", "listen.host")


def row(told: str, gone: str) -> str:
    return f"| name | deprecated in | gone in | instead |\n|---|---|---|---|\n| `{OLD}` | {told} | {gone} | `{NEW}` |\n"


def problems(present: set[PublishedName], *, page: str = "", version: str = "0.3.0") -> list[str]:
    recorded = {OLD: Version("0.1.0")}
    return list(broken_promises(present, recorded, read_deprecations(page), Version(version)))


def test_every_published_name_is_there_and_every_name_is_recorded() -> None:
    assert current_problems() == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("setting", "upstream.base_url"),
        ("setting", "smart_server.clients[].client_id"),
        ("reason", "scope_insufficient 403"),
        ("event", "token_issued"),
        ("metric", "smart_gateway_requests"),
        ("metric", "smart_gateway_requests{interaction}"),
        ("metric", "smart_gateway_build_info{version}"),
        ("audit-field", "decision_id"),
        ("audit-field", "typed_user"),
        ("command", "clients add --redirect-uri"),
        ("command", "explain --scope"),
        ("chart-value", "networkPolicy.enabled"),
        ("endpoint", "GET /admin/clients"),
    ],
)
def test_names_of_every_kind_are_found(kind: str, name: str) -> None:
    assert PublishedName(kind, name) in names_of_the_code()


def test_a_name_that_is_gone_without_notice() -> None:
    (problem,) = problems(set())
    assert problem.startswith("setting listen.hots is published since 0.1.0 and is gone. Put it back, and deprecate it")


def test_a_name_that_is_new_must_be_recorded() -> None:
    assert problems({OLD, NEW}) == ["setting listen.host is new: python -m scripts.published_names records it"]


@pytest.mark.parametrize(
    ("present", "page", "version", "sentence"),
    [
        pytest.param(True, row("0.2.0", "0.3.0"), "0.2.0", None, id="a deprecated name still works"),
        pytest.param(False, row("0.2.0", "0.3.0"), "0.3.0", None, id="and goes when its time has come"),
        pytest.param(False, row("0.2.0", "0.4.0"), "0.3.0", "until 0.4.0, and this is 0.3.0", id="but not before"),
        pytest.param(True, row("0.2.0", "0.2.1"), "0.2.0", "a minor release after 0.2.0", id="and not too soon"),
    ],
)  # fmt: skip
def test_a_deprecated_name(present: bool, page: str, version: str, sentence: str | None) -> None:
    found = problems({OLD} if present else set(), page=page, version=version)
    assert found == [] if sentence is None else len(found) == 1 and sentence in found[0]


def test_what_was_never_published_cannot_be_deprecated() -> None:
    page = row("0.2.0", "0.3.0").replace("hots", "prot")
    assert problems({OLD}, page=page) == [
        "setting listen.prot is deprecated in docs/stability.md, but was never published"
    ]
