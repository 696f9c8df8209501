"""The codes of AuditEvents: those of R4, of DICOM and of IHE BALP, and which of them each interaction has.

The patterns are those of IHE Basic Audit Log Patterns 1.1, section 3:5.7 (https://profiles.ihe.net/ITI/BALP).
"""

from collections.abc import Mapping
from dataclasses import dataclass

Json = dict[str, object]

BALP = "https://profiles.ihe.net/ITI/BALP"
_PROFILE = f"{BALP}/StructureDefinition/IHE.BasicAudit."
TOKEN_PROFILE = f"{_PROFILE}OAUTHaccessTokenUse."
# RFC 3986, as FHIR names a URI that is an identifier.
URI_SYSTEM = "urn:ietf:rfc:3986"
# BALP requires it before the id of a token; RFC 6755 registers names below it.
TOKEN_ID = "urn:ietf:params:oauth:jti:"

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"


def _coding(system: str, code: str) -> Json:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> Json:
    return {"coding": [_coding(system, code)]}


REST = _coding(f"{_TERMINOLOGY}/audit-event-type", "rest")
SECURITY_ALERT = _coding(_DICOM, "110113")
USER_AUTHENTICATION = _coding(_DICOM, "110114")
LOGIN = _coding(_DICOM, "110122")
LOGOUT = _coding(_DICOM, "110123")
USER_ATTRIBUTES_CHANGED = _coding(_DICOM, "110137")
# IHE IUA, ITI-71: Get Access Token.
GET_ACCESS_TOKEN = _coding("urn:ihe:event-type-code", "ITI-71")

APPLICATION = _concept(_DICOM, "110150")
DESTINATION = _concept(_DICOM, "110152")
SOURCE = _concept(_DICOM, "110153")
CUSTODIAN = _concept(f"{_TERMINOLOGY}/provenance-participant-type", "custodian")
RECIPIENT = _concept(f"{_TERMINOLOGY}/v3-ParticipationType", "IRCP")
AUTHOR = _concept(f"{_TERMINOLOGY}/v3-ParticipationType", "AUT")
TOKEN_USER = _concept(f"{BALP}/CodeSystem/UserAgentTypes", "UserOauthAgent")
AUTHORIZATION_SERVER = _concept(f"{BALP}/CodeSystem/UserAgentTypes", "AuthzOauthService")

APPLICATION_SERVER = _coding(f"{_TERMINOLOGY}/security-source-type", "4")
SECURITY_SERVER = _coding(f"{_TERMINOLOGY}/security-source-type", "6")

PERSON = _coding(f"{_TERMINOLOGY}/audit-entity-type", "1")
SYSTEM_OBJECT = _coding(f"{_TERMINOLOGY}/audit-entity-type", "2")
OTHER_ENTITY = _coding(f"{_TERMINOLOGY}/audit-entity-type", "4")
REQUEST_ID = _coding(f"{BALP}/CodeSystem/BasicAuditEntityType", "XrequestId")
PATIENT_ROLE = _coding(f"{_TERMINOLOGY}/object-role", "1")
DOMAIN_RESOURCE_ROLE = _coding(f"{_TERMINOLOGY}/object-role", "4")
QUERY_ROLE = _coding(f"{_TERMINOLOGY}/object-role", "24")

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """How an interaction is recorded: its code, its action, the roles of its agents, and BALP's profile if it has one.

    `profile` is the end of the profile's address, without `Patient`.
    """

    subtype: Json | None
    action: str
    profile: str | None
    client: Json
    server: Json
    user: Json


def _reads(code: str, profile: str | None = "Read") -> Pattern:
    """The data flow from the server, the source, to the client."""
    return Pattern(_coding(_INTERACTION, code), "R", profile, DESTINATION, SOURCE, RECIPIENT)


def _executes(code: str, profile: str | None = None) -> Pattern:
    """The query flows from the client, the source, to the server."""
    return Pattern(_coding(_INTERACTION, code), "E", profile, SOURCE, DESTINATION, RECIPIENT)


def _writes(code: str, action: str, profile: str) -> Pattern:
    return Pattern(_coding(_INTERACTION, code), action, profile, SOURCE, DESTINATION, AUTHOR)


# By the names of `interaction_name`.
PATTERNS: Mapping[str, Pattern] = {
    "read": _reads("read"),
    "vread": _reads("vread"),
    "history-instance": _reads("history-instance", None),
    "history-type": _reads("history-type", None),
    "history-system": _reads("history-system", None),
    "search-type": _executes("search-type", "Query"),
    "search-system": _executes("search-system", "Query"),
    # R4 has no code for a search of a compartment.
    "search-compartment": _executes("search", "Query"),
    "create": _writes("create", "C", "Create"),
    "update": _writes("update", "U", "Update"),
    "patch": _writes("patch", "U", "Update"),
    "delete": Pattern(_coding(_INTERACTION, "delete"), "D", "Delete", APPLICATION, CUSTODIAN, AUTHOR),
    "batch": _executes("batch"),
    "transaction": _executes("transaction"),
    "capabilities": _reads("capabilities", None),
    "operation": _executes("operation"),
    "export": _executes("operation"),
    "export-status": _executes("operation"),
    "export-cancel": _executes("operation"),
    "export-file": _executes("operation"),
}
UNKNOWN_PATTERN = Pattern(None, "E", None, SOURCE, DESTINATION, RECIPIENT)


def profile_url(pattern: Pattern, *, with_patient: bool) -> str | None:
    """The address of BALP's profile for a successful interaction."""
    if pattern.profile is None:
        return None
    return f"{_PROFILE}{'Patient' if with_patient else ''}{pattern.profile}"
