"""What makes a resource a member of a compartment under the operator's rules (enforcement.md 2)."""

from gateway.fhir.resources.compartments import Membership, compile_membership, find_narrowing_parameter
from gateway.policy.permission.rules import MembershipMode, Rules


def compartment_membership(compartment_type: str, resource_type: str, rules: Rules) -> Membership | None:
    """The membership of resources of the type in a compartment; None if the type is never in such a compartment."""
    return compile_membership(
        compartment_type,
        resource_type,
        subject_only=rules.membership is MembershipMode.SUBJECT,
        extra_parameters=rules.extra_membership_for(compartment_type),
        bases=rules.bases,
    )


def full_membership(compartment_type: str, resource_type: str, rules: Rules) -> Membership | None:
    """As `compartment_membership`, by every parameter: all owners that a resource names, whomever it is about."""
    return compile_membership(
        compartment_type,
        resource_type,
        extra_parameters=rules.extra_membership_for(compartment_type),
        bases=rules.bases,
    )


def owner_parameter(compartment_type: str, resource_type: str, rules: Rules) -> str | None:
    """The search parameter that names the owner of a resource; None if the type is never in such a compartment."""
    return find_narrowing_parameter(compartment_type, resource_type, rules.extra_membership_for(compartment_type))
