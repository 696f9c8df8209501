"""Which units permit to change or to read a resource, remembered by the elements on which that depends."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.policy.permission.permission import Permission
from gateway.policy.permission.unit import Unit
from gateway.policy.writing.written_state import may_change

# As for the judgement of what is read: records name few owners, again and again.
_MAX_CACHE_ENTRIES = 64
# In bytes.
_MAX_CACHE_KEY_LENGTH = 1024

_Resource = Mapping[str, Any]


def changing_units(permission: Permission, resource: _Resource) -> tuple[Unit, ...]:
    """The units that permit to change a resource that is stored like this, or to store it like this.

    `resource` is plain JSON as orjson decodes it.
    """
    return _remember(permission, b"change", resource, may_change)


def is_readable(permission: Permission, resource: _Resource) -> bool:
    """As `Permission.permits`, for a resource as in `changing_units`."""
    if resource.get("resourceType") != permission.resource_type:
        return False
    return permission.covers_whole_type or bool(_remember(permission, b"read", resource, Unit.permits))


def _remember(
    permission: Permission, use: bytes, resource: _Resource, permits: Callable[[Unit, _Resource], bool]
) -> tuple[Unit, ...]:
    key = None if permission.may_fail else _encode_key(permission, use, resource)
    cache = permission.unit_cache
    units = None if key is None else cache.get(key)
    if units is None:
        units = tuple(unit for unit in permission.units if permits(unit, resource))
        if key is not None:
            if len(cache) >= _MAX_CACHE_ENTRIES:
                cache.clear()
            cache[key] = units
    return units


def _encode_key(permission: Permission, use: bytes, resource: _Resource) -> bytes | None:
    """The deciding elements as bytes; None for what is too long to be kept, or nested deeper than orjson encodes."""
    try:
        key = orjson.dumps({name: resource[name] for name in permission.changing_elements if name in resource})
    except TypeError:
        return None
    return use + key if len(key) <= _MAX_CACHE_KEY_LENGTH else None
