"""`_elements` as it may be sent: verification has to find what it looks at."""

from gateway.policy.permission import Permission


def widened(asked: tuple[str, ...], permission: Permission) -> tuple[str, ...]:
    """The elements to ask for with those that verification needs; none where some criterion has to hold.

    A criterion may hold by absence (`deceased=false`), and what the server takes `_elements` to name is its own reading
    (`deceased`, by R4, where its JSON has `deceasedBoolean`). Membership never holds by absence.
    """
    if not asked or _is_constrained(permission):
        return ()
    needed = permission.elements
    return (*asked, *sorted(needed.difference(asked, {"resourceType", "contained"})), *_contained(needed, asked))


def _is_constrained(permission: Permission) -> bool:
    return not permission.unlimited and any(unit.criteria for unit in permission.units)


def _contained(needed: frozenset[str], asked: tuple[str, ...]) -> tuple[str, ...]:
    return ("contained",) if "contained" in needed and "contained" not in asked else ()
