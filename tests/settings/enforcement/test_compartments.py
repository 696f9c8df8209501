"""Problems in the settings of compartments and of reach."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, in_file, load, problems

# Added to the least configuration, whose lines are 1 to 7: the text, and the only problem.
ADDED = {
    "a type that R4 does not have": (
        "compartments: {shared_types: [Organisation]}",
        "8: compartments.shared_types[0]: must be a resource type of FHIR R4, and 'Organisation' is none",
    ),
    "a patient's records shared with everyone": (
        "compartments: {shared_types: [Observation]}",
        "8: compartments.shared_types: must not hold Observation, whose records each belong to a patient",
    ),
    "a type searchable that is not shared": (
        "compartments: {searchable_shared_types: [Slot]}",
        "8: compartments.searchable_shared_types: holds Slot, which is not in shared_types",
    ),
    "membership by a parameter that R4 does not have": (
        "compartments: {extra_membership: {Task: [patience]}}",
        "8: compartments.extra_membership.Task: names 'patience', which is no reference parameter of Task in R4",
    ),
    "membership by a parameter that is no reference": (
        "compartments: {extra_membership: {Task: [status]}}",
        "8: compartments.extra_membership.Task: names 'status', which is no reference parameter of Task in R4",
    ),
    "membership of a type that R4 does not have": (
        "compartments:\n  extra_membership:\n    Tusk: [patient]",
        "10: compartments.extra_membership.Tusk: must be a resource type of FHIR R4, and 'Tusk' is none",
    ),
    "a panel without a search": (
        "compartments: {practitioner_reach: panel}",
        "8: compartments.panel: is required when practitioner_reach is panel",
    ),
    "a search without a panel": (
        "compartments: {panel: [{resource_type: CareTeam, parameter: participant, patient_element: subject}]}",
        "8: compartments.panel: is used only when practitioner_reach is panel",
    ),
    "a panel by a parameter that cannot name a user": (
        "compartments: {practitioner_reach: panel, panel: [{resource_type: CareTeam, parameter: status, "
        "patient_element: subject}]}",
        "8: compartments.panel[0].parameter: must be a reference parameter of CareTeam in R4",
    ),
    "a panel by a criterion that cannot be checked": (
        "compartments: {practitioner_reach: panel, panel: [{resource_type: CareTeam, parameter: participant, "
        "patient_element: subject, criteria: {state-of: active}}]}",
        "8: compartments.panel[0].criteria.state-of: cannot be checked: the type has no such search parameter",
    ),
    "a panel that apps could add to": (
        "writes: {check_references: false}\n"
        "compartments: {practitioner_reach: panel, panel: [{resource_type: CareTeam, parameter: participant, "
        "patient_element: subject}]}",
        "8: writes.check_references: must be true where a panel says whom users reach: apps could add to it",
    ),
    "an identifier of any system": (
        "compartments: {further_related_persons: identifier}",
        "8: compartments.related_person_identifier_systems: is required when further_related_persons is identifier",
    ),
    "systems of identifiers that are not looked at": (
        "compartments: {related_person_identifier_systems: [x]}",
        "8: compartments.related_person_identifier_systems: is used only when further_related_persons is identifier",
    ),
    "a reach that is none": (
        "compartments: {practitioner_reach: some}",
        "8: compartments.practitioner_reach: must be 'all', 'compartment' or 'panel'",
    ),
}


@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [in_file(problem)]


@pytest.mark.parametrize("further", ["none", "person"])
def test_no_app_writes_the_records_that_say_for_whom_it_stands(tmp_path: Path, further: str) -> None:
    text = f"{LEAST}compartments: {{further_related_persons: {further}}}\nwrites: {{never: [Consent]}}\n"
    deciding = set() if further == "none" else {"Person", "RelatedPerson"}
    assert load(tmp_path, text).rules().writes.never == {"Consent", *deciding}
