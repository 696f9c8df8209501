"""The manifest of operations: what an operator may write into it, and what each problem is called."""

from pathlib import Path

import pytest

from gateway.fhir.request.interaction import OperationLevel
from gateway.policy.permission.operation_rule import OperationAddress, list_enabled_operations
from tests.settings.configuration import LEAST, in_file, load, problems

TYPES = (
    "boolean, integer, count, date, instant, code, string, uri, Coding, CodeableConcept, types, patient, resource, "
    "definition, demographics"
)
# The entry below `operations`, and its only problem, without the entry's address.
PROBLEMS = {
    "an address that is none": (
        "everything: {enabled: false}",
        "everything: must be written as Patient/[id]/$name, Patient/$name, [type]/$name or $name",
    ),
    "an address of an unknown type": (
        "Foo/$bar: {needs: []}",
        "Foo/$bar: must name a resource type of FHIR R4, and 'Foo' is none",
    ),
    "an unknown word": (
        "Task/$x: {need: [Task.r], answer: judged}",
        "Task/$x.need: is not a setting; did you mean needs?",
    ),
    "no needs": (
        "Task/$x: {answer: judged}",
        "Task/$x.needs: is required: the letters that a token needs, [] for none",
    ),
    "no answer": (
        "Task/$x: {needs: []}",
        "Task/$x.answer: is required: judged, whole, meta, outcome or terminology",
    ),
    "a need that is no letter": (
        "Task/$x: {needs: [Task.rs], answer: judged}",
        "Task/$x.needs: holds 'Task.rs'; a word is a resource type, a dot and a letter: Patient.r",
    ),
    "a need of the request's type where there is none": (
        '"$x": {needs: ["[type].r"], answer: judged}',
        "$x.needs: must name its types, because the operation is invoked on none",
    ),
    "an operation on a record that need not be readable": (
        "Task/[id]/$x: {needs: [Task.s], answer: judged}",
        "Task/[id]/$x.needs: must hold the letter r of the type, because the operation tells of a record",
    ),
    "a change by GET": (
        "Task/$x: {needs: [Task.u], affects_state: true, methods: [GET], answer: outcome}",
        "Task/$x.methods: must be [POST], because affects_state is true",
    ),
    "a parameter of an unknown type": (
        "Task/$x: {needs: [], parameters: {a: dates}, answer: judged}",
        f"Task/$x.parameters.a: must be a type, and 1..1 or 0..* if that is meant. Types are {TYPES}",
    ),
    "a name that no parameter has": (
        "Task/$x: {needs: [], parameters: {a=b: date}, answer: judged}",
        "Task/$x.parameters.a=b: must be the name of a parameter: letters, digits, - and _",
    ),
    "values of a date": (
        "Task/$x: {needs: [], parameters: {a: date today}, answer: judged}",
        "Task/$x.parameters.a: may list values for the type code only",
    ),
    "two patients": (
        "Task/$x: {needs: [], parameters: {a: patient, b: patient}, answer: judged}",
        "Task/$x.parameters: may hold one of the type patient only",
    ),
    "a resource that nothing judges": (
        "Task/$x: {needs: [Task.r], parameters: {a: resource}, answer: outcome}",
        "Task/$x.needs: must hold the letter c or u, by which the resource is judged that is sent",
    ),
    "a resource of no type": (
        '"$x": {needs: [Task.c], parameters: {a: resource}, answer: outcome}',
        "$x.parameters.a: cannot be a resource, because the operation is invoked on no type",
    ),
    "a terminology of patients": (
        "Task/$x: {needs: [], answer: terminology, answer_types: [ValueSet, Observation]}",
        "Task/$x.answer_types: must not hold Observation, which belongs to patients",
    ),
    "the meta of nothing": (
        "Task/$x: {needs: [Task.r], answer: meta}",
        "Task/$x.answer: can be meta for an operation on one record only",
    ),
    "types of an outcome": (
        "Task/$x: {needs: [], answer: outcome, answer_types: [Task]}",
        "Task/$x.answer_types: is of use only where answer is judged or terminology",
    ),
    "texts of what is judged": (
        "Task/$x: {needs: [], answer: judged, texts: server}",
        "Task/$x.texts: is of use only where answer is outcome",
    ),
    "parameters of an outcome": (
        "Task/$x: {needs: [], answer: outcome, answer_parameters: [result]}",
        "Task/$x.answer_parameters: is of use only where answer is judged or terminology",
    ),
    "rules that an outcome is let through despite": (
        "Task/$x: {needs: [], answer: outcome, despite_record_rules: true}",
        "Task/$x.despite_record_rules: is of use only where answer is terminology",
    ),
    "queries of a second language": (
        '"$graphql": {needs: [], answer: judged}',
        "$graphql: cannot be let through: it answers with what is no FHIR resource, so that nothing of it can be "
        "verified",
    ),
    "messages": (
        '"$process-message": {needs: [], answer: judged}',
        "$process-message: cannot be let through: it does what a message says, which no rule foresees",
    ),
    "an import": (
        '"$import": {needs: [], answer: outcome}',
        "$import: cannot be let through: it writes what nothing of has been verified",
    ),
    "an export": (
        "Patient/$export: {needs: [], answer: judged}",
        "Patient/$export: cannot be let through: it is not an entry of the manifest: bulk_export has the settings of "
        "exports",
    ),
}


@pytest.mark.parametrize(("entry", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_an_entry_is_refused_with_its_line(tmp_path: Path, entry: str, problem: str) -> None:
    text = f"{LEAST}operations:\n  {entry}\n"
    assert problems(tmp_path, text) == [in_file(f"9: operations.{problem}")]


def test_an_entry_changes_what_it_names_and_leaves_the_rest_as_shipped(tmp_path: Path) -> None:
    entries = "  Patient/[id]/$everything: {methods: [POST]}\n  Observation/$lastn: {enabled: true}\n"
    text = f"{LEAST}operations:\n{entries}"
    operations = load(tmp_path, text).rules().operations
    everything = operations[OperationAddress(OperationLevel.INSTANCE, "Patient", "everything")]
    assert everything.methods == ("POST",)
    assert "_type" in everything.parameters
    assert "lastn" in list_enabled_operations(operations)["Observation"]


def test_an_entry_for_one_type_is_that_of_every_type_with_its_changes(tmp_path: Path) -> None:
    text = f'{LEAST}operations:\n  "[type]/[id]/$meta": {{enabled: false}}\n  Patient/[id]/$meta: {{enabled: true}}\n'
    enabled = list_enabled_operations(load(tmp_path, text).rules().operations)
    assert "meta" in enabled["Patient"]
    assert "meta" not in enabled["Observation"]


def test_without_entries_the_shipped_manifest_holds(tmp_path: Path) -> None:
    enabled = list_enabled_operations(load(tmp_path, LEAST).rules().operations)
    assert enabled["Patient"] == {"everything", "validate", "meta"}
    assert enabled["Observation"] == {"validate", "meta"}
    assert "*" not in enabled
