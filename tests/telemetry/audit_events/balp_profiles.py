"""The constraints of IHE's Basic Audit Log Patterns as a table of our own, and FHIR StructureDefinitions made from it.

The package of the profiles is in none of the registries that tests may use. The table says what their source says: the
FSH files of https://github.com/IHE/ITI.BasicAudit (version 1.1, commit 1530921). `SMART_GATEWAY_BALP=FOLDER` has the
tests use the StructureDefinitions, ValueSets and CodeSystems in a folder instead, such as those of the package.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BALP = "https://profiles.ihe.net/ITI/BALP"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_PARTICIPATION = f"{_TERMINOLOGY}/v3-ParticipationType"
_ENTITY_TYPE, _ROLE = f"{_TERMINOLOGY}/audit-entity-type", f"{_TERMINOLOGY}/object-role"

Code = tuple[str, str]
APPLICATION, DESTINATION, SOURCE = (_DICOM, "110150"), (_DICOM, "110152"), (_DICOM, "110153")
CUSTODIAN = (f"{_TERMINOLOGY}/provenance-participant-type", "custodian")
RECIPIENT = (_PARTICIPATION, "IRCP")
OAUTH_USER = (f"{BALP}/CodeSystem/UserAgentTypes", "UserOauthAgent")


@dataclass(frozen=True)
class Rule:
    """One element: how often it is there, and what its value must be: a code, a set of codes, or a type."""

    element: str
    least: int | None = None
    most: str | None = None
    pattern: Any = None
    value_set: str | None = None
    target: str | None = None
    sliced_by: str | None = None


# The value sets that the profiles bind their codes to.
VALUE_SETS: dict[str, tuple[Code, ...]] = {
    "AllReadVS": ((_INTERACTION, "read"), (_INTERACTION, "vread")),
    "AllSearchVS": ((_INTERACTION, "search"), (_INTERACTION, "search-type"), (_INTERACTION, "search-system")),
    "AllUpdateVS": ((_INTERACTION, "update"), (_INTERACTION, "patch")),
    "RestObjectRoles": ((_ROLE, "4"), (_ROLE, "3"), (_ROLE, "20")),
    "DataSources": ((_PARTICIPATION, "AUT"), (_PARTICIPATION, "INF"), (_PARTICIPATION, "CST")),
}
CODE_SYSTEMS = {
    "BasicAuditEntityType": ("XrequestId",),
    "UserAgentTypes": ("UserSamlAgent", "UserOauthAgent", "AuthzOauthService"),
}


def _coding(code: Code) -> dict[str, str]:
    return {"system": code[0], "code": code[1]}


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _agent(name: str, least: int, type_rule: Rule, *rules: Rule) -> Iterator[Rule]:
    yield Rule(f"agent:{name}", least, "1")
    yield Rule(f"agent:{name}.type", 1, pattern=type_rule.pattern, value_set=type_rule.value_set)
    for rule in (*rules, Rule("media", most="0")):
        yield Rule(f"agent:{name}.{rule.element}", rule.least, rule.most, rule.pattern)


def _rest(subtype: Rule, action: str, client: Code, server: Code, user: Rule, *, query: bool = False) -> list[Rule]:
    """What the profiles of the RESTful interactions have in common."""
    reached = Rule("who", 1), Rule("network", 1)
    acting = Rule("who", 1), Rule("requestor", pattern=True), Rule("network", most="0")
    rules = [
        Rule("type", pattern=_coding((f"{_TERMINOLOGY}/audit-event-type", "rest"))),
        Rule("subtype", 1, sliced_by="$this"),
        subtype,
        Rule("action", pattern=action),
        Rule("outcome", 1, pattern="0"),
        Rule("agent", 2, sliced_by="type"),
        *_agent("client", 1, Rule("", pattern=_concept(client)), *reached),
        *_agent("server", 1, Rule("", pattern=_concept(server)), *reached),
        *_agent("user", 0, user, *acting),
        Rule("entity", 1, sliced_by="type"),
        Rule("entity:transaction", 0, "1"),
        Rule("entity:transaction.what.identifier.value", 1),
        Rule("entity:transaction.type", 1, pattern=_coding((f"{BALP}/CodeSystem/BasicAuditEntityType", "XrequestId"))),
    ]
    name = "entity:query" if query else "entity:data"
    rules += [Rule(name, 1, "1"), Rule(f"{name}.type", 1, pattern=_coding((_ENTITY_TYPE, "2")))]
    if query:
        rules += [
            Rule(f"{name}.what", most="0"),
            Rule(f"{name}.role", 1, pattern=_coding((_ROLE, "24"))),
            Rule(f"{name}.lifecycle", most="0"),
            Rule(f"{name}.query", 1),
            Rule(f"{name}.detail", most="0"),
        ]
    else:
        is_read = subtype.value_set == "AllReadVS"
        rules += [
            Rule(f"{name}.what", 1),
            Rule(f"{name}.role", None if is_read else 1, value_set="RestObjectRoles"),
        ]
    return rules


_PATIENT = [
    Rule("entity", 2),
    Rule("entity:patient", 1, "1"),
    Rule("entity:patient.what", 1, target="Patient"),
    Rule("entity:patient.type", 1, pattern=_coding((_ENTITY_TYPE, "1"))),
    Rule("entity:patient.role", 1, pattern=_coding((_ROLE, "1"))),
]
_BY_RECIPIENT, _BY_SOURCE = Rule("", pattern=_concept(RECIPIENT)), Rule("", value_set="DataSources")


def _one_subtype(name: str, code: str) -> Rule:
    return Rule(f"subtype:{name}", 1, "1", pattern=_coding((_INTERACTION, code)))


def _subtype_of(name: str, value_set: str) -> Rule:
    return Rule(f"subtype:{name}", 1, "1", value_set=value_set)


_BASES = {
    "Read": _rest(_subtype_of("anyRead", "AllReadVS"), "R", DESTINATION, SOURCE, _BY_RECIPIENT),
    "Query": _rest(_subtype_of("anySearch", "AllSearchVS"), "E", SOURCE, DESTINATION, _BY_RECIPIENT, query=True),
    "Create": _rest(_one_subtype("anyCreate", "create"), "C", SOURCE, DESTINATION, _BY_SOURCE),
    "Update": _rest(_subtype_of("anyUpdate", "AllUpdateVS"), "U", SOURCE, DESTINATION, _BY_SOURCE),
    "Delete": _rest(_one_subtype("anyDelete", "delete"), "D", APPLICATION, CUSTODIAN, _BY_SOURCE),
}
_TOKEN_USER = (
    Rule("requestor", pattern=True),
    Rule("policy", 1, "1"),
    Rule("media", most="0"),
    Rule("network", most="0"),
)

# By the end of their addresses: the profile that they derive from, and their rules.
PROFILES: dict[str, tuple[str | None, list[Rule]]] = {
    **{name: (None, rules) for name, rules in _BASES.items()},
    **{f"Patient{name}": (name, _PATIENT) for name in _BASES},
    "OAUTHaccessTokenUse.Minimal": (
        None,
        [
            Rule("agent", sliced_by="type"),
            Rule("agent:oUser", 1, "*"),
            Rule("agent:oUser.type", 1, pattern=_concept(OAUTH_USER)),
            *(Rule(f"agent:oUser.{rule.element}", rule.least, rule.most, rule.pattern) for rule in _TOKEN_USER),
        ],
    ),
    "OAUTHaccessTokenUse.Comprehensive": (
        None,
        [
            Rule("agent", sliced_by="type"),
            Rule("agent:oClient", 1, "1"),
            Rule("agent:oClient.type", 1, pattern=_concept(APPLICATION)),
            Rule("agent:oClient.who", 1),
            Rule("agent:oClient.who.identifier", 1),
            Rule("agent:oClient.who.identifier.value", 1),
            Rule("agent:oClient.media", most="0"),
            Rule("agent:oUser", 0, "1"),
            Rule("agent:oUser.type", 1, pattern=_concept(RECIPIENT)),
            Rule("agent:oUser.who", 1),
            Rule("agent:oUser.who.identifier", 1),
            *(Rule(f"agent:oUser.{rule.element}", rule.least, rule.most, rule.pattern) for rule in _TOKEN_USER),
        ],
    ),
}
# The order of R4's elements, which a differential has to keep.
_ORDER = (
    "type", "subtype", "action", "outcome", "agent", "agent.type", "agent.role", "agent.who", "agent.who.identifier",
    "agent.who.identifier.value", "agent.requestor", "agent.policy", "agent.media", "agent.network", "entity",
    "entity.what", "entity.what.identifier.value", "entity.type", "entity.role", "entity.lifecycle",
    "entity.query", "entity.detail",
)  # fmt: skip


def write_profiles(folder: Path) -> None:
    """Write the profiles, their value sets and code systems as resources of FHIR into a folder."""
    for resource in (*_structure_definitions(), *_value_sets(), *_code_systems()):
        (folder / f"{resource['resourceType']}-{resource['id']}.json").write_text(json.dumps(resource))


def _structure_definitions() -> Iterator[dict[str, Any]]:
    for name, (base, rules) in PROFILES.items():
        parent = f"{BALP}/StructureDefinition/IHE.BasicAudit.{base}" if base else None
        yield {
            "resourceType": "StructureDefinition",
            "id": f"IHE.BasicAudit.{name}",
            "url": f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}",
            "name": name.replace(".", ""),
            "status": "active",
            "fhirVersion": "4.0.1",
            "kind": "resource",
            "abstract": False,
            "type": "AuditEvent",
            "baseDefinition": parent or "http://hl7.org/fhir/StructureDefinition/AuditEvent",
            "derivation": "constraint",
            "differential": {"element": elements(rules)},
        }


def elements(rules: list[Rule]) -> list[dict[str, Any]]:
    """The rules as elements of a differential: each slice with its own elements, in the order of R4."""
    return [_element(rule) for rule in sorted(rules, key=lambda rule: _place(rule, rules))]


def _place(rule: Rule, rules: list[Rule]) -> tuple[int, int, int]:
    head, _, _ = rule.element.partition(".")
    top, _, slice_name = head.partition(":")
    slices = list(dict.fromkeys(other.element.partition(".")[0] for other in rules))
    plain = rule.element.replace(f":{slice_name}", "") if slice_name else rule.element
    return _ORDER.index(top), slices.index(head), _ORDER.index(plain)


def _element(rule: Rule) -> dict[str, Any]:
    head, _, rest = rule.element.partition(".")
    top, _, slice_name = head.partition(":")
    path = f"AuditEvent.{top}{'.' if rest else ''}{rest}"
    element: dict[str, Any] = {"id": f"AuditEvent.{rule.element}", "path": path}
    if slice_name and not rest:
        element["sliceName"] = slice_name
    if rule.sliced_by:
        element["slicing"] = {"discriminator": [{"type": "value", "path": rule.sliced_by}], "rules": "open"}
    if rule.least is not None:
        element["min"] = rule.least
    if rule.most is not None:
        element["max"] = rule.most
    if rule.target is not None:
        target = f"http://hl7.org/fhir/StructureDefinition/{rule.target}"
        element["type"] = [{"code": "Reference", "targetProfile": [target]}]
    if rule.value_set is not None:
        element["binding"] = {"strength": "required", "valueSet": f"{BALP}/ValueSet/{rule.value_set}"}
    if rule.pattern is not None:
        element[f"pattern{_pattern_type(rule.pattern)}"] = rule.pattern
    return element


def _pattern_type(pattern: object) -> str:
    if isinstance(pattern, bool):
        return "Boolean"
    if isinstance(pattern, str):
        return "Code"
    return "CodeableConcept" if isinstance(pattern, dict) and "coding" in pattern else "Coding"


def _value_sets() -> Iterator[dict[str, Any]]:
    for name, codes in VALUE_SETS.items():
        systems = dict.fromkeys(system for system, _ in codes)
        include = [
            {"system": system, "concept": [{"code": code} for other, code in codes if other == system]}
            for system in systems
        ]
        yield {
            "resourceType": "ValueSet",
            "id": name,
            "url": f"{BALP}/ValueSet/{name}",
            "status": "active",
            "compose": {"include": include},
        }


def _code_systems() -> Iterator[dict[str, Any]]:
    for name, codes in CODE_SYSTEMS.items():
        yield {
            "resourceType": "CodeSystem",
            "id": name,
            "url": f"{BALP}/CodeSystem/{name}",
            "status": "active",
            "content": "complete",
            "concept": [{"code": code} for code in codes],
        }
