"""The upstream's CapabilityStatement, made to say what this gateway really lets through (enforcement.md 5)."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.resource import nested_resources
from gateway.fhir.search_parameters import COMMON_PARAMETERS, parameters_of

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"

# What this gateway lets through today; all else it refuses, so all else is left out.
_INSTANCE_INTERACTIONS = frozenset({"read", "vread", "history-instance", "history-type", "search-type"})
_SYSTEM_INTERACTIONS = frozenset({"history-system", "search-system"})
# Extensions and narrative may hold the server's own OAuth addresses or operations, wherever they stand (D-26).
_UNREAD = frozenset({"extension", "modifierExtension", "text"})
_NOT_OURS = _UNREAD | {"url", "contained", "messaging", "patchFormat"}
_REST_NOT_OURS = _UNREAD | {"operation", "security", "interaction"}


class NotACapabilityStatementError(Exception):
    """The document is something else."""


def public_statement(document: Any, *, public_base: str, oauth_uris: Mapping[str, str]) -> dict[str, Any]:
    """The statement with our address, our security section in every `rest`, and only what is let through.

    `oauth_uris` maps the names of the legacy extension (`authorize`, `token`, ...) to URLs; without `token` the
    extension is left out (checklist D-26). Raises `NotACapabilityStatementError`.
    """
    if not isinstance(document, dict) or document.get("resourceType") != "CapabilityStatement":
        raise NotACapabilityStatementError
    rest = document.get("rest")
    if _holds_resource(rest):
        raise NotACapabilityStatementError
    servers = [one for one in rest if isinstance(one, dict)] if isinstance(rest, list) else []
    implementation = {"description": "SMART gateway", "url": public_base}
    security = _security(oauth_uris)
    return {
        **{name: value for name, value in document.items() if name not in _NOT_OURS and not _holds_resource(value)},
        "format": ["application/fhir+json", "json"],
        "implementation": implementation,
        "rest": [_rest(one, security) for one in servers] or [{"mode": "server", "security": security}],
    }


def _holds_resource(value: Any) -> bool:
    """Whether a resource hides in it: what anybody may read holds nobody's record."""
    return any(nested_resources([value]))


def _rest(rest: dict[str, Any], security: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in rest.items() if name not in _REST_NOT_OURS}
    interaction = _interactions(rest.get("interaction"), _SYSTEM_INTERACTIONS)
    if interaction:
        kept["interaction"] = interaction
    resources = rest.get("resource")
    kept["resource"] = (
        [_resource(one) for one in resources if isinstance(one, dict)] if isinstance(resources, list) else []
    )
    return {**kept, "security": security}


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    writing = {
        "operation",
        "interaction",
        "updateCreate",
        "conditionalCreate",
        "conditionalUpdate",
        "conditionalDelete",
    }
    kept = {name: value for name, value in resource.items() if name not in writing}
    return {**kept, "interaction": _interactions(resource.get("interaction"), _INSTANCE_INTERACTIONS)}


def _interactions(value: Any, allowed: frozenset[str]) -> list[dict[str, Any]]:
    listed = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    codes = [code for one in listed if isinstance(code := one.get("code"), str)]
    return [{"code": code} for code in codes if code in allowed]


def _security(oauth_uris: Mapping[str, str]) -> dict[str, Any]:
    section: dict[str, Any] = {
        "cors": True,
        "service": [
            {
                "coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}],
                "text": "OAuth 2.0 using SMART App Launch (see https://www.hl7.org/fhir/smart-app-launch/)",
            }
        ],
    }
    if "token" in oauth_uris:
        uris = [{"url": name, "valueUri": uri} for name, uri in oauth_uris.items()]
        section["extension"] = [{"url": _OAUTH_URIS, "extension": uris}]
    return section


def undeclared_parameters(document: Any) -> dict[str, frozenset[str]]:
    """Per type, R4's search parameters that the statement leaves out: a server may strip them from our query (leak_12).

    Types that declare no parameter at all are left out, and so are parameters of every type, which many servers know
    without saying so.
    """
    found: dict[str, frozenset[str]] = {}
    for resource in _declared_resources(document):
        resource_type, declared = resource.get("type"), resource.get("searchParam")
        if not isinstance(resource_type, str) or not isinstance(declared, list) or not declared:
            continue
        names = {name for one in declared if isinstance(one, dict) and isinstance(name := one.get("name"), str)}
        missing = frozenset(parameters_of(resource_type)) - COMMON_PARAMETERS - names
        if missing:
            found[resource_type] = missing
    return found


def _declared_resources(document: Any) -> Iterator[dict[str, Any]]:
    rest = document.get("rest") if isinstance(document, dict) else None
    for server in rest if isinstance(rest, list) else ():
        resources = server.get("resource") if isinstance(server, dict) else None
        yield from (one for one in resources if isinstance(one, dict)) if isinstance(resources, list) else ()
