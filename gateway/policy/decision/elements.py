"""`_elements` of the upstream request, which must ask for everything that the judge looks at (leak_29)."""

from gateway.policy.permission.permission import Permission


def widen_elements(requested_elements: tuple[str, ...], permission: Permission) -> tuple[str, ...]:
    """The requested elements and those that the judge needs; empty, which asks for all, under criteria and rules.

    An absent element can satisfy a criterion (`deceased=false`), and servers differ in the names that they accept in
    `_elements` (R4 says `deceased`, the JSON has `deceasedBoolean`). An absent element never makes a resource a member
    of a compartment, so membership alone does not need the complete resource.
    """
    if not requested_elements or _has_criteria(permission):
        return ()
    added_elements = permission.elements.difference(requested_elements)
    contained = ("contained",) if "contained" in added_elements else ()
    return (*requested_elements, *sorted(added_elements - {"resourceType", "contained"}), *contained)


def _has_criteria(permission: Permission) -> bool:
    return not permission.covers_whole_type and any(unit.criteria or unit.record_rules for unit in permission.units)
