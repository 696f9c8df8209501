"""docs/keycloak.md by itself, without a Keycloak: what it prints is whole, and loads as it stands."""

from pathlib import Path

import pytest

from gateway.scopes.parse import parse_scopes
from tests.keycloak.document import AUDIENCE, BLOCKS, KEYCLOAK, REALM, configured, printed

CONFIGURATIONS = ("gateway", "introspecting-gateway")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_configuration_loads_as_printed(name: str, tmp_path: Path) -> None:
    settings = configured(name, tmp_path, issuer=f"{KEYCLOAK}/{REALM}", secret="secret")
    assert settings.public_base_url == AUDIENCE
    assert [issuer.audiences for issuer in settings.issuers] == [(AUDIENCE,)]


def test_the_audience_mapper_names_what_the_gateway_expects() -> None:
    [scope] = [one for one in printed("client-scopes") if one["name"] == "fhir-gateway"]
    assert scope["protocolMappers"][0]["config"]["included.custom.audience"] == AUDIENCE


@pytest.mark.parametrize("app", ["app", "service"])
def test_an_app_is_given_only_scopes_that_exist(app: str) -> None:
    known = {one["name"] for one in printed("client-scopes")} | {"basic", "offline_access"}
    assert {*printed(app)["defaultClientScopes"], *printed(app)["optionalClientScopes"]} <= known


def test_the_gateway_reads_every_scope_of_the_page() -> None:
    for scope in printed("client-scopes"):
        if scope["attributes"]["include.in.token.scope"] == "true":
            assert not parse_scopes(scope["name"]).refused, scope["name"]


def test_only_administrators_write_the_attributes_that_open_charts() -> None:
    assert [one["permissions"]["edit"] for one in printed("user-profile")] == [["admin"], ["admin"]]


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
