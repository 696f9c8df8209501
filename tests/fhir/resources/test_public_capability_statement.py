"""The public CapabilityStatement, and what the FHIR server's statement says about its search parameters."""

from typing import Any

import pytest

from gateway.fhir.resources.public_capability_statement import (
    NotACapabilityStatementError,
    PublicOperations,
    build_public_statement,
)
from gateway.fhir.resources.undeclared_parameters import find_conditional_deletes, find_undeclared_parameters

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


def build_statement() -> dict[str, Any]:
    """Build the public statement of `UPSTREAM`."""
    return build_public_statement(UPSTREAM, public_base="https://gateway.example/fhir", oauth_uris=URIS)


@pytest.mark.requirement("D-26")
def test_nothing_of_the_upstreams_addresses_or_security_is_left() -> None:
    assert "hapi" not in str(build_statement())
    assert "elsewhere" not in str(build_statement())
    assert build_statement()["implementation"]["url"] == "https://gateway.example/fhir"


def test_d_26_the_first_rest_carries_our_oauth_uris_and_the_smart_service() -> None:
    security = build_statement()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    uris = {uri["url"]: uri["valueUri"] for uri in security["extension"][0]["extension"]}
    assert uris == URIS


def test_what_is_refused_is_not_advertised() -> None:
    rest = build_statement()["rest"][0]
    assert "operation" not in rest
    assert rest["interaction"] == [{"code": "search-system"}, {"code": "batch"}]
    observation, basic = rest["resource"]
    assert observation["interaction"] == [{"code": "read"}, {"code": "search-type"}]
    assert not {"operation", "conditionalCreate"} & observation.keys()
    assert basic["interaction"] == []


def test_writes_are_advertised_as_far_as_the_server_has_them() -> None:
    statement = build_public_statement(
        UPSTREAM,
        public_base="https://gateway.example/fhir",
        oauth_uris={},
        writable_types=frozenset({"Observation"}),
    )
    assert statement["rest"][0]["interaction"][-1] == {"code": "transaction"}
    observation, basic = statement["rest"][0]["resource"]
    assert observation["interaction"][-1] == {"code": "delete"}
    assert (observation["conditionalDelete"], "conditionalCreate" in observation) == ("single", False)
    assert basic["interaction"] == []
    assert statement["patchFormat"] == ["application/json-patch+json"]


def test_the_types_with_conditional_deletes_are_read() -> None:
    resources = [
        {"type": "Patient", "conditionalDelete": "single"},
        {"type": "Observation", "conditionalDelete": "multiple"},
        {"type": "Basic", "conditionalDelete": "not-supported"},
        {"conditionalDelete": "single"},
        7,
    ]
    document = {"resourceType": "CapabilityStatement", "rest": [{"resource": resources}]}
    assert find_conditional_deletes(document) == {"Patient", "Observation"}


@pytest.mark.parametrize("document", [None, [], {}, {"resourceType": "Patient"}, "text", 7])
def test_anything_else_is_no_statement(document: Any) -> None:
    with pytest.raises(NotACapabilityStatementError):
        build_public_statement(document, public_base="https://gateway.example/fhir", oauth_uris={})


@pytest.mark.parametrize("rest", [None, {}, [None, 7], [{"resource": 7}], [{"resource": [None, {"searchParam": 1}]}]])
def test_odd_statements_are_read_without_harm(rest: Any) -> None:
    document = {"resourceType": "CapabilityStatement", "rest": rest}
    assert build_public_statement(document, public_base="https://g.example/fhir", oauth_uris={})["rest"][0]["security"]
    assert find_undeclared_parameters(document) == {}
    assert find_conditional_deletes(document) == frozenset()


def test_leak_12_the_parameters_a_server_leaves_out_are_known_by_type() -> None:
    missing = find_undeclared_parameters(UPSTREAM)
    assert {"patient", "category"} <= missing["Observation"]
    assert not {"code", "subject", "_id", "_lastUpdated"} & missing["Observation"]


@pytest.mark.parametrize("resource_type", ["Goal", "Basic"])
def test_leak_12_a_type_without_any_parameter_declares_none(resource_type: str) -> None:
    """Goal does not stand in the statement; Basic stands there without parameters."""
    missing = find_undeclared_parameters(UPSTREAM)
    assert {"patient", "subject"} <= missing[resource_type]
    assert not {"_id", "_lastUpdated"} & missing[resource_type]


def test_a_parameter_may_be_declared_for_all_types_at_once() -> None:
    rest = UPSTREAM["rest"][0]
    missing = find_undeclared_parameters({"rest": [{**rest, "searchParam": [{"name": "patient"}]}]})
    assert not [resource_type for resource_type, names in missing.items() if "patient" in names]
    assert "subject" in missing["Goal"]


def test_what_the_server_does_as_a_client_is_not_declared() -> None:
    goal = {"type": "Goal", "searchParam": [{"name": "patient"}]}
    missing = find_undeclared_parameters({"rest": [UPSTREAM["rest"][0], {"mode": "client", "resource": [goal]}]})
    assert "patient" in missing["Goal"]


def test_a_statement_without_any_parameter_says_nothing_about_them() -> None:
    assert find_undeclared_parameters({"rest": [{"mode": "server", "resource": [{"type": "Observation"}]}]}) == {}


def test_operations_that_are_let_through_are_listed_under_the_public_base() -> None:
    server = "http://internal/fhir"
    listed = [
        {"name": "everything", "definition": f"{server}/OperationDefinition/everything", "documentation": "secret"},
        {"name": "$meta", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-meta"},
        {"name": "expunge", "definition": f"{server}/OperationDefinition/expunge"},
        {"name": ["everything"], "definition": "x"},
        {"name": "everything"},
        "everything",
    ]
    document = {
        "resourceType": "CapabilityStatement",
        "rest": [
            {
                "operation": listed,
                "resource": [{"type": "Patient", "operation": listed}, {"type": "Task", "operation": {}}],
            }
        ],
    }
    operations = PublicOperations({"Patient": frozenset({"everything", "meta"})}, (server,))
    public = build_public_statement(
        document, public_base="https://gateway.example/fhir", oauth_uris={}, operations=operations
    )
    (rest,) = public["rest"]
    assert "operation" not in rest
    assert [resource.get("operation") for resource in rest["resource"]] == [
        [
            {"name": "everything", "definition": "https://gateway.example/fhir/OperationDefinition/everything"},
            {"name": "meta", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-meta"},
        ],
        None,
    ]
