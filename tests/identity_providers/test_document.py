"""The code blocks of docs/sign-in.md are complete and load as printed."""

from pathlib import Path

import pytest

from gateway.smart_server.openid_provider.id_token import ALGORITHMS
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginReason
from tests.identity_providers.sign_in_document import BLOCKS, PAGE, configured, printed


@pytest.mark.parametrize("name", ["keycloak", "entra"])
def test_each_configuration_loads_as_printed(name: str, tmp_path: Path) -> None:
    settings = configured(name, tmp_path)
    assert settings.smart_server is not None
    [provider] = settings.smart_server.identity_providers
    assert provider.client_secret.get_secret_value() == "secret"
    assert provider.issuer in BLOCKS[name]


def test_the_redirect_uri_is_the_one_that_the_gateway_has(tmp_path: Path) -> None:
    issuer = configured("keycloak", tmp_path).smart_server_issuer()
    assert printed("client")["redirectUris"] == [f"{issuer}/signed-in"]


def test_only_administrators_write_the_attribute_that_opens_charts() -> None:
    assert [attribute["permissions"]["edit"] for attribute in printed("user-profile")] == [["admin"]]


def test_every_block_has_a_name() -> None:
    assert set(BLOCKS) == {"user-profile", "client", "keycloak", "entra"}


def test_each_algorithm_and_each_reason_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(algorithm in text for algorithm in ALGORITHMS)
    assert all(f"| `{reason.value}` |" in text for reason in ProviderLoginReason)
