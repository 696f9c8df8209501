"""Purposes of use: why a user wants protected records, as the user says it on the consent page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import Authorization, User

_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
KNOWN_PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        f"{_ACT_REASON}|{code}": name
        for code, name in (
            ("TREAT", gettext_noop("Treatment")),
            ("ETREAT", gettext_noop("Emergency treatment")),
            ("BTG", gettext_noop("Danger to life: I break the protection")),
            ("CAREMGT", gettext_noop("Coordination of care")),
            ("HOPERAT", gettext_noop("Operation of the organisation")),
            ("PATADMIN", gettext_noop("Administration of patients")),
            ("HPAYMT", gettext_noop("Billing and payment")),
            ("HRESCH", gettext_noop("Research")),
            ("PUBHLTH", gettext_noop("Public health")),
            ("PATRQT", gettext_noop("At the request of the patient")),
            ("FAMRQT", gettext_noop("At the request of the family")),
        )
    }
)
"""What pages call the purposes of HL7's PurposeOfUse (v3-ActReason), by `system|code`, in English."""


@dataclass(frozen=True, slots=True)
class OfferedPurpose:
    """A purpose that users of these types may name, if they have one of `roles` or there are none.

    `code` is `system|code` or a word. `name` is what the operator calls it, or empty for a known one.
    """

    code: str
    name: str = ""
    user_types: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def may_be_named_by(self, user: User) -> bool:
        """Whether the user may name it."""
        user_type = (user.fhir_user or "").partition("/")[0]
        return user_type in self.user_types and (not self.roles or not self.roles.isdisjoint(user.roles))


def purposes_for(user: User, purposes: Iterable[OfferedPurpose]) -> tuple[OfferedPurpose, ...]:
    """The purposes that the user may name."""
    return tuple(purpose for purpose in purposes if purpose.may_be_named_by(user))


def purpose_in_force(authorization: Authorization, purposes: Iterable[OfferedPurpose]) -> str:
    """The purpose that the user named, if the user may name it now; else empty."""
    user = authorization.user
    offered = () if user is None else purposes_for(user, purposes)
    return next((purpose.code for purpose in offered if purpose.code == authorization.purpose_of_use), "")
