"""Lock three for one resource: whether the permission of the request permits it (enforcement.md 1)."""

from itertools import repeat

import msgspec

from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    decode_members,
    is_resource,
    read_resource,
)
from gateway.fhir.resources.version import ResourceVersion, read_version
from gateway.policy.decision_types import ResourceFilter
from gateway.policy.judgement.nested_resources import has_only_visible_nested
from gateway.policy.judgement.provenance_targets import ProvenanceTargets, find_provenance_targets
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission
from gateway.policy.permission.unit import VouchedExtent

# These types hold complete resources, each of which is judged by itself (leak_20).
_CONTAINER_TYPES = frozenset({"Bundle", "Parameters"})
# The judgement on these types depends on more than the deciding elements, so it is not cached.
_UNCACHED_TYPES = _CONTAINER_TYPES | {"Provenance"}
_ABSENT_MEMBERS = repeat(msgspec.Raw())
# Thousands of grants may be cached, so each permission keeps a small cache. The resources of a page name few owners.
_MAX_CACHE_ENTRIES = 64
# In bytes.
_MAX_CACHE_KEY_LENGTH = 1024

# True and False are final. `ProvenanceTargets` means that the judgement depends on other resources.
Judgement = bool | ProvenanceTargets


def judge_resource(members: Members, permission: Permission, grant: Grant) -> Judgement:
    """Whether the resource may be shown under `permission`; `ProvenanceTargets` if that depends on other resources.

    Raises `MalformedResourceError` if a member that the check reads has more than one meaning.
    """
    if grant.reads_everything:
        return True
    resource_type = permission.resource_type
    if resource_type in _UNCACHED_TYPES:
        return _judge_uncached(members, permission, grant)
    key = _cache_key(members, permission)
    is_permitted = permission.judgement_cache.get(key)
    if is_permitted is None:
        is_permitted = permission.permits(decode_members(members, permission.elements))
        if len(permission.judgement_cache) >= _MAX_CACHE_ENTRIES:
            permission.judgement_cache.clear()
        if len(key) <= _MAX_CACHE_KEY_LENGTH and (is_permitted or not permission.may_fail):
            permission.judgement_cache[key] = is_permitted
    return is_permitted


def judge_read_body(body: bytes, resource_filter: ResourceFilter) -> tuple[bytes, Judgement, ResourceVersion]:
    """Judge the body of a read response.

    Returns the body that may be sent to the client, the judgement on it, and the version that it states. Raises
    `MalformedResourceError`, also if it states another version than the one that was requested.
    """
    members, text = read_resource(body)
    version, reference = read_version(members), resource_filter.reference
    if not is_resource(members, reference.resource_type, reference.id):
        return text, False, version
    if reference.version_id is not None and not version.may_be(reference.version_id):
        raise MalformedResourceError("another version than the one that was requested")
    return text, judge_resource(members, resource_filter.permission, resource_filter.grant), version


def is_withheld(members: Members, permission: Permission) -> bool:
    """Whether only a record rule keeps a resource from being permitted. Raises `MalformedResourceError`."""
    return permission.has_record_rules and permission.withholds(decode_members(members, permission.elements))


def may_be_vouched_for(members: Members, permission: Permission) -> bool:
    """Whether no record rule keeps a Binary from being shown, for which another resource vouches.

    Raises `MalformedResourceError`.
    """
    if not permission.has_record_rules:
        return True
    resource = decode_members(members, permission.elements)
    return any(isinstance(unit.extent, VouchedExtent) and unit.obeys_rules(resource) for unit in permission.units)


def is_cached_as_permitted(members: Members, permission: Permission) -> bool:
    """Whether the cache of `permission` says that a resource with these deciding elements is permitted.

    False means that `judge_resource` has to decide. The entries of a page repeat the deciding elements (the same
    subject, the same category), so that this look-up judges most of them. It does not check the id.
    """
    return permission.judgement_cache.get(_cache_key(members, permission)) is True


def _cache_key(members: Members, permission: Permission) -> bytes:
    """The bytes of the deciding elements, joined like the items of a JSON array.

    An element is a complete JSON value and an absent one is empty, so that two different resources never share a key.
    """
    return b",".join(map(members.get, permission.deciding_elements, _ABSENT_MEMBERS))


def _judge_uncached(members: Members, permission: Permission, grant: Grant) -> Judgement:
    if permission.permits(decode_members(members, permission.elements)):
        return permission.resource_type not in _CONTAINER_TYPES or has_only_visible_nested(members, grant)
    if permission.resource_type == "Provenance":
        return find_provenance_targets(members, permission, grant.rules) or False
    return False
