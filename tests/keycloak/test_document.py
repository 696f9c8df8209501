"""The blocks of docs/keycloak.md are complete and can be loaded, without a Keycloak."""

from pathlib import Path

import pytest

from gateway.scopes.parse_scopes import parse_scopes
from tests.keycloak.keycloak_document import (
    AUDIENCE,
    BLOCKS,
    KEYCLOAK,
    REALM,
    load_documented_settings,
    read_json_block,
)

CONFIGURATIONS = ("gateway", "introspecting-gateway")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_configuration_loads_as_printed(name: str, tmp_path: Path) -> None:
    settings = load_documented_settings(name, tmp_path, issuer=f"{KEYCLOAK}/{REALM}", secret="secret")
    assert settings.public_base_url == AUDIENCE
    assert [issuer.audiences for issuer in settings.issuers] == [(AUDIENCE,)]


def test_the_audience_mapper_names_what_the_gateway_expects() -> None:
    [scope] = [scope for scope in read_json_block("client-scopes") if scope["name"] == "fhir-gateway"]
    assert scope["protocolMappers"][0]["config"]["included.custom.audience"] == AUDIENCE


@pytest.mark.parametrize("app", ["app", "service"])
def test_an_app_is_given_only_scopes_that_exist(app: str) -> None:
    known = {scope["name"] for scope in read_json_block("client-scopes")} | {"basic", "offline_access"}
    assert {*read_json_block(app)["defaultClientScopes"], *read_json_block(app)["optionalClientScopes"]} <= known


def test_the_gateway_reads_every_scope_of_the_page() -> None:
    for scope in read_json_block("client-scopes"):
        if scope["attributes"]["include.in.token.scope"] == "true":
            assert not parse_scopes(scope["name"]).refused, scope["name"]


def test_only_administrators_write_the_attributes_that_open_charts() -> None:
    assert [item["permissions"]["edit"] for item in read_json_block("user-profile")] == [["admin"], ["admin"]]


def test_every_block_has_a_name() -> None:
    assert set(BLOCKS) == {
        "user-profile",
        "client-scopes",
        "app",
        "service",
        "gateway",
        "introspecting-client",
        "introspection-mapper",
        "introspecting-gateway",
    }
