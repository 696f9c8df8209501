"""The FHIR server's CapabilityStatement, changed to what this gateway supports (enforcement.md 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.resources.resource import iter_nested_resources
from gateway.scopes.model import ANY_TYPE

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"

# The interactions that this gateway supports. It refuses all others, so they are removed.
_RESOURCE_INTERACTIONS = frozenset({"read", "vread", "history-instance", "history-type", "search-type"})
_WRITE_INTERACTIONS = frozenset({"create", "update", "delete"})
_PATCH_FORMATS = ["application/json-patch+json"]
_SYSTEM_INTERACTIONS = frozenset({"history-system", "search-system"})
_TRANSACTION = frozenset({"transaction"})
_CONDITIONAL_FORMS = (
    ("conditionalCreate", "create", True),
    ("conditionalUpdate", "update", True),
    ("conditionalDelete", "delete", "single"),
)
# Extensions and narrative can hold the OAuth endpoints or operations of the FHIR server (D-26).
_FREE_CONTENT = frozenset({"extension", "modifierExtension", "text"})
_REMOVED_MEMBERS = _FREE_CONTENT | {"url", "contained", "messaging", "patchFormat"}
_REMOVED_REST_MEMBERS = _FREE_CONTENT | {"operation", "security", "interaction"}
_REMOVED_RESOURCE_MEMBERS = frozenset(
    {"operation", "interaction", "updateCreate", "conditionalCreate", "conditionalUpdate", "conditionalDelete"}
)


@dataclass(frozen=True, slots=True)
class PublicOperations:
    """The operations that are let through: `names` by resource type, those on no type under `*`, without dollar signs.

    Definitions below one of `server_bases` are at the public base for clients.
    """

    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    server_bases: tuple[str, ...] = ()

    def find(self, resource_type: str, public_base: str, listed: Any) -> list[dict[str, str]]:
        """Those among the operations that the statement lists for the type."""
        names = self.names.get(resource_type, frozenset())
        found = []
        for operation in listed if isinstance(listed, list) else ():
            name = operation.get("name") if isinstance(operation, dict) else None
            definition = operation.get("definition") if isinstance(operation, dict) else None
            if isinstance(name, str) and name.removeprefix("$") in names and isinstance(definition, str):
                base = next((base for base in self.server_bases if definition.startswith(f"{base}/")), None)
                public = definition if base is None else public_base + definition.removeprefix(base)
                found.append({"name": name.removeprefix("$"), "definition": public})
        return found


class NotACapabilityStatementError(Exception):
    """The document is not a CapabilityStatement."""


_NO_OPERATIONS = PublicOperations()


def build_public_statement(
    document: Any,
    *,
    public_base: str,
    oauth_uris: Mapping[str, str],
    operations: PublicOperations = _NO_OPERATIONS,
    writable_types: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The statement with the public URL, the gateway's security section in every `rest`, and only what is supported.

    `oauth_uris` maps the names of the `oauth-uris` extension (`authorize`, `token`, ...) to URLs. Without `token` the
    extension is left out (D-26). Only `operations` are listed, and writes of `writable_types` as far as the FHIR server
    has them. Raises `NotACapabilityStatementError`.
    """
    if not isinstance(document, dict) or document.get("resourceType") != "CapabilityStatement":
        raise NotACapabilityStatementError
    rest = document.get("rest")
    if _holds_resource(rest):
        raise NotACapabilityStatementError
    servers = [server for server in rest if isinstance(server, dict)] if isinstance(rest, list) else []
    implementation = {"description": "SMART gateway", "url": public_base}
    security = _build_security(oauth_uris)
    return {
        **{
            name: value
            for name, value in document.items()
            if name not in _REMOVED_MEMBERS and not _holds_resource(value)
        },
        "format": ["application/fhir+json", "json"],
        **({"patchFormat": _PATCH_FORMATS} if writable_types else {}),
        "implementation": implementation,
        "rest": [
            _add_writes(_build_rest(server, security, operations, public_base), server, writable_types)
            for server in servers
        ]
        or [{"mode": "server", "security": security}],
    }


def _holds_resource(value: Any) -> bool:
    """Whether a value holds a resource. The statement is public, so it must not hold any."""
    return any(iter_nested_resources([value]))


def _build_rest(
    rest: dict[str, Any], security: dict[str, Any], operations: PublicOperations, public_base: str
) -> dict[str, Any]:
    kept = {name: value for name, value in rest.items() if name not in _REMOVED_REST_MEMBERS}
    # A batch is carried out here, so that the server need not know any.
    kept["interaction"] = [*_filter_interactions(rest.get("interaction"), _SYSTEM_INTERACTIONS), {"code": "batch"}]
    resources = rest.get("resource")
    kept["resource"] = (
        [_build_resource(resource, operations, public_base) for resource in resources if isinstance(resource, dict)]
        if isinstance(resources, list)
        else []
    )
    system_operations = operations.find(ANY_TYPE, public_base, rest.get("operation"))
    if system_operations:
        kept["operation"] = system_operations
    return {**kept, "security": security}


def _build_resource(resource: dict[str, Any], operations: PublicOperations, public_base: str) -> dict[str, Any]:
    kept = {name: value for name, value in resource.items() if name not in _REMOVED_RESOURCE_MEMBERS}
    type_operations = operations.find(str(resource.get("type")), public_base, resource.get("operation"))
    if type_operations:
        kept["operation"] = type_operations
    return {**kept, "interaction": _filter_interactions(resource.get("interaction"), _RESOURCE_INTERACTIONS)}


def _add_writes(rest: dict[str, Any], original: dict[str, Any], writable_types: frozenset[str]) -> dict[str, Any]:
    """The section with the writes that the server declares. The conditional forms and patches are the gateway's own."""
    if writable_types:
        rest["interaction"] += _filter_interactions(original.get("interaction"), _TRANSACTION)
    listed = original.get("resource")
    originals = [resource for resource in listed if isinstance(resource, dict)] if isinstance(listed, list) else []
    for resource, declared in zip(rest["resource"], originals, strict=True):
        if resource.get("type") not in writable_types:
            continue
        writes = _filter_interactions(declared.get("interaction"), _WRITE_INTERACTIONS)
        codes = {interaction["code"] for interaction in writes}
        resource["interaction"] += writes + ([{"code": "patch"}] if "update" in codes else [])
        resource.update({name: value for name, needed, value in _CONDITIONAL_FORMS if needed in codes})
        if declared.get("updateCreate") is True:
            resource["updateCreate"] = True
    return rest


def _filter_interactions(value: Any, allowed: frozenset[str]) -> list[dict[str, Any]]:
    interactions = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    codes = [code for interaction in interactions if isinstance(code := interaction.get("code"), str)]
    return [{"code": code} for code in codes if code in allowed]


def _build_security(oauth_uris: Mapping[str, str]) -> dict[str, Any]:
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
