"""Passes on which search parameters the FHIR server does not declare in its CapabilityStatement."""

import logging
from typing import Any

from gateway.fhir.resources.undeclared_parameters import find_undeclared_parameters
from gateway.fhir.search_parameters import find_aliases
from gateway.policy.permission.membership import owner_parameter
from gateway.policy.permission.rules import Rules, UnnarrowedSearch
from gateway.proxy.grant_cache import GrantCache

_log = logging.getLogger(__name__)

_CONSEQUENCES = {
    UnnarrowedSearch.ALLOW: "their searches read the records of all patients, of which each is verified",
    UnnarrowedSearch.REFUSE: "their searches are refused",
}


def record_undeclared_parameters(statement: Any, grants: GrantCache, rules: Rules) -> None:
    """Tell `grants` what the statement does not declare, and warn where a search cannot be narrowed then (leak_12).

    The warning comes once, and again only if another statement says something else.
    """
    undeclared = find_undeclared_parameters(statement)
    if not grants.set_unsupported_parameters(undeclared):
        return
    resource_types = [
        resource_type
        for resource_type, missing in sorted(undeclared.items())
        if not _can_be_narrowed(resource_type, missing, rules)
    ]
    if resource_types:
        _log.warning(
            "the FHIR server declares no parameter to narrow these types by",
            extra={
                "resource_types": resource_types,
                "consequence": _CONSEQUENCES[rules.search_without_narrowing],
            },
        )


def _can_be_narrowed(resource_type: str, missing: frozenset[str], rules: Rules) -> bool:
    """Whether a declared parameter names the patient of such a resource; types outside the compartment need none."""
    name = owner_parameter("Patient", resource_type, rules)
    return name is None or name == "_id" or not find_aliases(resource_type, name) <= missing
