"""How AuditEvents name resources: by literal references, by their identifiers here, or by pseudonyms of patients."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.telemetry.audit_events.codes import Json

PATIENT = "Patient"


@dataclass(frozen=True, slots=True)
class Naming:
    """`base` is the public base URL. `hash_id` makes the pseudonym of a patient, where pseudonyms are configured.

    A literal reference is refused by servers that check references and do not hold, or hold no longer, what it leads
    to. A logical one (R4 references.html 2.3.0.2) is stored by every server. A pseudonym is never a literal reference.
    """

    base: str
    literal: bool = False
    hash_id: Callable[[str], str] | None = None

    def reference(self, resource_type: str, id_: str | None, version_id: str | None = None) -> Json:
        """A reference to a resource; without an id, to one of this type that is not known any closer."""
        if id_ is None:
            return {"type": resource_type, "display": resource_type}
        if resource_type == PATIENT and self.hash_id is not None:
            return self._logical(resource_type, self.hash_id(id_))
        history = "" if version_id is None else f"/_history/{version_id}"
        if self.literal:
            return {"reference": f"{resource_type}/{id_}{history}", "type": resource_type}
        return self._logical(resource_type, f"{id_}{history}")

    def name(self, resource_type: str, id_: str) -> str:
        """A resource as plain text."""
        is_hidden = resource_type == PATIENT and self.hash_id is not None
        return f"{resource_type}/{self.hash_id(id_) if is_hidden and self.hash_id else id_}"

    def _logical(self, resource_type: str, value: str) -> Json:
        return {"type": resource_type, "identifier": {"system": f"{self.base}/{resource_type}", "value": value}}
