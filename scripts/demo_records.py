"""The synthetic patients of the demonstration: generated records, with names and texts that people may read."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.servers.people import PATIENTS
from tests.servers.population import transaction
from tests.servers.visit_records import visit_records

Resource = dict[str, Any]

_DOCTORS = {
    "practitioner-1": ("Dora", "Lindqvist"),
    "practitioner-2": ("Emil", "Okafor"),
    "practitioner-3": ("Farida", "Rossi"),
}
# Women and men in turn, as the records are generated.
_GIVEN = (
    "Amelia", "Bruno", "Chiara", "David", "Elif", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Kaya", "Luca",
    "Mina", "Noah", "Olga", "Pavel", "Rosa", "Simon", "Tara", "Umar", "Vera", "Wim", "Yara", "Zeno",
)  # fmt: skip
_FAMILY = ("Sample", "Example", "Specimen", "Pattern", "Placeholder", "Model")


def demo_transactions() -> tuple[Resource, ...]:
    """The records as transaction Bundles of PUTs, to be sent in this order."""
    return (transaction(_shared_records()), *(transaction(list(_patient_records(patient))) for patient in PATIENTS))


@cache
def patient_name(patient: str) -> tuple[str, str]:
    """The given and the family name of a patient."""
    number = PATIENTS.index(patient)
    return _GIVEN[number % len(_GIVEN)], _FAMILY[number % len(_FAMILY)]


def _shared_records() -> list[Resource]:
    hospital = {"resourceType": "Organization", "id": "organization-1", "active": True, "name": "Riverside Hospital"}
    doctors = [
        {"resourceType": "Practitioner", "id": doctor, "name": [{"family": family, "given": [given], "prefix": ["Dr"]}]}
        for doctor, (given, family) in _DOCTORS.items()
    ]
    return [hospital, *doctors]


def _patient_records(patient: str) -> Iterator[Resource]:
    number = PATIENTS.index(patient)
    given, family = patient_name(patient)
    for resource in visit_records(patient, number, [*_DOCTORS][number % len(_DOCTORS)]):
        # Narratives have the generated name.
        record = {name: value for name, value in resource.items() if name != "text"}
        if record["resourceType"] == "Patient":
            record["name"] = [{"use": "official", "family": family, "given": [given]}]
            record["identifier"] = [{"system": "urn:example:record-number", "value": f"{4100 + number}"}]
        yield record
