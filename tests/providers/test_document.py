"""docs/sign-in.md by itself, without a provider: what it prints is whole, and loads as it stands."""

from pathlib import Path

import pytest

from gateway.web.smart.provider_claims import ALGORITHMS
from gateway.web.smart.provider_errors import SignInReason
from tests.providers.document import BLOCKS, PAGE, configured, printed


@pytest.mark.parametrize("name", ["keycloak", "entra"])
def test_each_configuration_loads_as_printed(name: str, tmp_path: Path) -> None:
    settings = configured(name, tmp_path)
    assert settings.smart_server is not None
    [provider] = settings.smart_server.identity_providers
    assert provider.client_secret.get_secret_value() == "secret"
    assert provider.issuer in BLOCKS[name]


def test_the_redirect_uri_is_the_one_that_the_gateway_has(tmp_path: Path) -> None:
    issuer = configured("keycloak", tmp_path).own_issuer()
    assert printed("client")["redirectUris"] == [f"{issuer}/signed-in"]


def test_only_administrators_write_the_attribute_that_opens_charts() -> None:
    assert [one["permissions"]["edit"] for one in printed("user-profile")] == [["admin"]]


def test_every_block_has_a_name() -> None:
    assert set(BLOCKS) == {"user-profile", "client", "keycloak", "entra"}


def test_each_algorithm_and_each_reason_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(one in text for one in ALGORITHMS)
    assert all(f"| `{one.value}` |" in text for one in SignInReason)
