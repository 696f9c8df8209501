"""A bundle of User-Access Brands, as its publisher must write it (checklist UB-1..UB-16)."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_BUNDLE_BYTES = 5 * 1024 * 1024
_MAX_PROBLEMS = 5
_MAX_DEPTH = 2
_EXTENSIONS = "http://hl7.org/fhir/StructureDefinition/"
_ABSENT = _EXTENSIONS + "data-absent-reason"
_ABSENT_REASONS = frozenset({"asked-declined", "asked-unknown"})
_CATEGORIES = frozenset(
    {"prov", "ins", "laboratory", "imaging", "pharmacy", "health-information-network", "health-data-aggregator"}
)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")

_Resource = Mapping[str, Any]


class BadBrandBundleError(ValueError):
    """The bundle cannot be published; the message says why."""


@dataclass(frozen=True, slots=True)
class BrandIdentifier:
    """The identifier of the brand that stands for this server, in one Organization of the bundle."""

    value: str
    system: str | None = None


@dataclass(frozen=True, slots=True)
class _Brands:
    """The resources of a bundle, by their relative references."""

    organizations: Mapping[str, _Resource]
    endpoints: Mapping[str, _Resource]


def check_brand_bundle(content: bytes, identifier: BrandIdentifier | None, base: str) -> None:
    """Raise `BadBrandBundleError` unless `content` is a bundle that may be published for the FHIR base `base`."""
    if len(content) > MAX_BUNDLE_BYTES:
        raise BadBrandBundleError(f"it has {len(content)} bytes, and {MAX_BUNDLE_BYTES} are allowed")
    try:
        bundle = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BadBrandBundleError("it is not JSON") from None
    problems = list(itertools.islice(_problems(bundle, identifier, base), _MAX_PROBLEMS))
    if problems:
        raise BadBrandBundleError("; ".join(problems))


def _problems(bundle: Any, identifier: BrandIdentifier | None, base: str) -> Iterator[str]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle" or bundle.get("type") != "collection":
        yield "it is no Bundle of the type collection"
        return
    if not _is_instant(bundle.get("timestamp")):
        yield "its timestamp must be the time of its last change (UB-7)"
    if "meta" in bundle and not _is_instant(_member(bundle["meta"], "lastUpdated")):
        yield "its meta must have lastUpdated (UB-13)"
    resources = [_member(entry, "resource") for entry in _list(bundle, "entry")]
    brands = _Brands(_by_reference(resources, "Organization"), _by_reference(resources, "Endpoint"))
    if len(brands.organizations) + len(brands.endpoints) != len(resources):
        yield "each entry must be an Organization or an Endpoint with an id of its own (UB-13)"
        return
    yield from _absence_problems(bundle)
    for name, organization in brands.organizations.items():
        yield from (f"{name} {problem}" for problem in _organization_problems(organization, brands))
    for name, endpoint in brands.endpoints.items():
        yield from (f"{name} {problem}" for problem in _endpoint_problems(endpoint))
    yield from _reach_problems(brands, base)
    yield from _identifier_problems(brands, identifier)


def _organization_problems(organization: _Resource, brands: _Brands) -> Iterator[str]:
    if not _is_text(organization.get("name")) and not _is_absent(organization, "name"):
        yield "must have a name (UB-14)"
    telecom = _list(organization, "telecom")
    if len(telecom) != 1 or _member(telecom[0], "system") != "url" or not _is_web_url(_member(telecom[0], "value")):
        yield "must have one telecom: the url of the brand's website (UB-14)"
    for concept in _list(organization, "type"):
        if not _CATEGORIES.intersection(_codes(concept)):
            yield f"must have types out of {', '.join(sorted(_CATEGORIES))} (UB-14)"
    own, portal = _endpoints_of(organization), _portal_endpoints_of(organization)
    if not own | portal <= set(brands.endpoints):
        yield "must refer to Endpoints of this bundle, such as Endpoint/123 (UB-14)"
    if not portal <= own:
        yield "must name the endpoints of its portal among its own (UB-14)"
    yield from _parent_problems(organization, brands)


def _parent_problems(organization: _Resource, brands: _Brands) -> Iterator[str]:
    """`partOf` leads up to a brand without a parent, in so many steps that it ends."""
    current: _Resource = organization
    for _ in range(_MAX_DEPTH):
        if "partOf" not in current:
            return
        parent = brands.organizations.get(_reference(current["partOf"]))
        if parent is None:
            yield "must be partOf an Organization of this bundle, such as Organization/123 (UB-14)"
            return
        current = parent
    if "partOf" in current:
        yield f"must be at most {_MAX_DEPTH} steps below a brand that is no part of another (UB-14)"


def _endpoint_problems(endpoint: _Resource) -> Iterator[str]:
    if not _is_text(endpoint.get("status")):
        yield "must have a status (UB-15)"
    if _member(endpoint.get("connectionType"), "code") != "hl7-fhir-rest":
        yield "must have the connectionType hl7-fhir-rest (UB-15)"
    payloads = _list(endpoint, "payloadType")
    if len(payloads) != 1 or set(_codes(payloads[0])) != {"none"}:
        yield "must have one payloadType: none (UB-15)"
    if not _is_web_url(endpoint.get("address")):
        yield "must have the address of a FHIR base (UB-15)"
    contacts = [contact for contact in _list(endpoint, "contact") if _member(contact, "system") == "url"]
    if not any(str(_member(contact, "value")).startswith("https://") for contact in contacts):
        yield "must have as contact the https url of a page for developers (UB-15)"
    if not any(_is_text(_member(version, "valueCode")) for version in _extensions(endpoint, "endpoint-fhir-version")):
        yield "must say its FHIR version in the extension endpoint-fhir-version (UB-15)"


def _reach_problems(brands: _Brands, base: str) -> Iterator[str]:
    """Whether each Endpoint has its brand, and this server its Endpoint."""
    named = {name for organization in brands.organizations.values() for name in _endpoints_of(organization)}
    for name in brands.endpoints:
        if name not in named:
            yield f"{name} must be an endpoint of an Organization (UB-6)"
    if not any(str(endpoint.get("address")).rstrip("/") == base for endpoint in brands.endpoints.values()):
        yield f"no Endpoint has the address {base}, so that apps would not find this server"


def _identifier_problems(brands: _Brands, identifier: BrandIdentifier | None) -> Iterator[str]:
    """Which brand is this server's (edge case 158)."""
    if identifier is None:
        if len(brands.organizations) != 1:
            yield "it has not one brand but several, so that identifier must say which is this server's (UB-3)"
        return
    matches = sum(
        _member(candidate, "value") == identifier.value and _member(candidate, "system") == identifier.system
        for organization in brands.organizations.values()
        for candidate in _list(organization, "identifier")
    )
    if matches != 1:
        yield f"its Organizations have the identifier {matches} times, and it must be once (UB-5)"


def _absence_problems(value: Any) -> Iterator[str]:
    """The reasons for which an element may be left out (UB-12), at any depth."""
    waiting = [value]
    while waiting:
        element = waiting.pop()
        if isinstance(element, list):
            waiting += element
        elif isinstance(element, dict):
            if element.get("url") == _ABSENT and element.get("valueCode") not in _ABSENT_REASONS:
                yield "a data-absent-reason must be asked-declined or asked-unknown (UB-12)"
            waiting += element.values()


def _by_reference(resources: list[Any], resource_type: str) -> dict[str, _Resource]:
    return {
        f"{resource_type}/{resource['id']}": resource
        for resource in resources
        if _member(resource, "resourceType") == resource_type and _is_text(resource.get("id"))
    }


def _endpoints_of(organization: _Resource) -> set[str]:
    return {_reference(item) for item in _list(organization, "endpoint")}


def _portal_endpoints_of(organization: _Resource) -> set[str]:
    return {
        _reference(_member(part, "valueReference"))
        for portal in _extensions(organization, "organization-portal")
        for part in _list(portal, "extension")
        if _member(part, "url") == "portalEndpoint"
    }


def _extensions(resource: _Resource, name: str) -> list[Any]:
    return [extension for extension in _list(resource, "extension") if _member(extension, "url") == _EXTENSIONS + name]


def _codes(concept: Any) -> list[str]:
    return [str(_member(coding, "code")) for coding in _list(concept, "coding")]


def _reference(value: Any) -> str:
    return str(_member(value, "reference"))


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: Any, name: str) -> list[Any]:
    member = _member(value, name)
    return member if isinstance(member, list) else []


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_web_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _is_instant(value: Any) -> bool:
    return isinstance(value, str) and _INSTANT.fullmatch(value) is not None


def _is_absent(resource: _Resource, name: str) -> bool:
    """Whether the element says why it is not there."""
    return any(_member(extension, "url") == _ABSENT for extension in _list(resource.get(f"_{name}"), "extension"))
