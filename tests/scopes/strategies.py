"""Hypothesis strategies for every kind of scope."""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
)
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.scopes.v1 import find_v1_word

# The same examples on every machine and at any speed. The fuzz target tests other ones.
steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

_visible = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"), exclude_characters="\\,")
_escaped = st.sampled_from([r"\,", r"\\", r"\|", r"\$"])
alternatives = (
    st.lists(_visible | _escaped, min_size=1, max_size=12)
    .map("".join)
    .filter(lambda text: bool(text.replace("|", "").replace("$", "").strip()))
)
values = st.lists(alternatives, min_size=1, max_size=3).map(",".join)
constraints = st.builds(
    Constraint,
    st.sampled_from(["code", "category", "_tag", "_security", "date", "patient.birthdate", "combo-code"]),
    st.sampled_from([None, None, "in", "not-in"]),
    values,
)
type_constraints = st.builds(
    Constraint,
    st.just("_type"),
    st.none(),
    st.lists(st.sampled_from(sorted(RESOURCE_TYPES)), min_size=1, max_size=3).map(",".join),
)
letters = st.frozensets(st.sampled_from(Letter), min_size=1)


def _resource_scope(
    context: Context, resource_type: str, letters: frozenset[Letter], constraints: list[Constraint], is_v1: bool
) -> ResourceScope:
    scope = ResourceScope(context, resource_type, letters, tuple(constraints))
    return replace(scope, is_v1=is_v1 and find_v1_word(scope) is not None)


typed_scopes = st.builds(
    _resource_scope,
    st.sampled_from(Context),
    st.sampled_from(sorted(RESOURCE_TYPES)),
    letters,
    st.lists(constraints, max_size=3),
    st.booleans(),
)
wildcard_scopes = st.builds(
    _resource_scope,
    st.sampled_from(Context),
    st.just(ANY_TYPE),
    letters,
    st.lists(constraints | type_constraints, max_size=3),
    st.booleans(),
)
resource_scopes = typed_scopes | wildcard_scopes
roles = st.sampled_from([None, "friend", "https://example.org/role#x", "%zz"])
other_scopes = (
    st.builds(LaunchScope)
    | st.builds(LaunchScope, st.sampled_from(["patient", "encounter", "imagingstudy", "list"]), roles)
    | st.builds(IdentityScope, st.sampled_from(["openid", "fhirUser", "profile"]))
    | st.builds(RefreshScope, st.sampled_from(["offline_access", "online_access"]))
    | st.builds(ExtensionScope, st.sampled_from(["__x.manage", "https://ehr.example.org/x.y", "a+b://c"]))
)
scopes = resource_scopes | other_scopes
