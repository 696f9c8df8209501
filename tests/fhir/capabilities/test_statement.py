"""What `/metadata` says: our security, our address, only what is let through; and what it teaches us of the server."""

from typing import Any

import pytest

from gateway.fhir.capability_statement import (
    NotACapabilityStatementError,
    public_statement,
    undeclared_parameters,
)

UPSTREAM: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "url": "http://hapi.internal/metadata",
    "implementation": {"url": "http://hapi.internal/fhir"},
    "rest": [
        {
            "mode": "server",
            "security": {"extension": [{"url": "http://elsewhere", "extension": [{"valueUri": "http://hapi/token"}]}]},
            "operation": [{"name": "everything"}],
            "interaction": [{"code": "transaction"}, {"code": "search-system"}],
            "resource": [
                {
                    "type": "Observation",
                    "operation": [{"name": "lastn"}],
                    "conditionalCreate": True,
                    "interaction": [{"code": "read"}, {"code": "delete"}, {"code": "search-type"}],
                    "searchParam": [{"name": "code", "type": "token"}, {"name": "subject", "type": "reference"}],
                },
                {"type": "Basic", "interaction": [{"code": "create"}]},
            ],
        }
    ],
}
URIS = {"authorize": "https://login.example/authorize", "token": "https://login.example/token"}


def made() -> dict[str, Any]:
    """The public statement, as JSON."""
    return public_statement(UPSTREAM, public_base="https://gateway.example/fhir", oauth_uris=URIS)


@pytest.mark.requirement("D-26")
def test_nothing_of_the_upstreams_addresses_or_security_is_left() -> None:
    assert "hapi" not in str(made())
    assert "elsewhere" not in str(made())
    assert made()["implementation"]["url"] == "https://gateway.example/fhir"


def test_d_26_the_first_rest_carries_our_oauth_uris_and_the_smart_service() -> None:
    security = made()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    uris = {one["url"]: one["valueUri"] for one in security["extension"][0]["extension"]}
    assert uris == URIS


def test_what_is_refused_is_not_advertised() -> None:
    rest = made()["rest"][0]
    assert "operation" not in rest
    assert rest["interaction"] == [{"code": "search-system"}]
    observation, basic = rest["resource"]
    assert observation["interaction"] == [{"code": "read"}, {"code": "search-type"}]
    assert not {"operation", "conditionalCreate"} & observation.keys()
    assert basic["interaction"] == []


@pytest.mark.parametrize("document", [None, [], {}, {"resourceType": "Patient"}, "text", 7])
def test_anything_else_is_no_statement(document: Any) -> None:
    with pytest.raises(NotACapabilityStatementError):
        public_statement(document, public_base="https://gateway.example/fhir", oauth_uris={})


@pytest.mark.parametrize("rest", [None, {}, [None, 7], [{"resource": 7}], [{"resource": [None, {"searchParam": 1}]}]])
def test_odd_statements_are_read_without_harm(rest: Any) -> None:
    document = {"resourceType": "CapabilityStatement", "rest": rest}
    assert public_statement(document, public_base="https://g.example/fhir", oauth_uris={})["rest"][0]["security"]
    assert undeclared_parameters(document) == {}


def test_leak_12_the_parameters_a_server_leaves_out_are_known_by_type() -> None:
    missing = undeclared_parameters(UPSTREAM)
    assert set(missing) == {"Observation"}
    assert {"patient", "category"} <= missing["Observation"]
    assert not {"code", "subject", "_id", "_lastUpdated"} & missing["Observation"]
