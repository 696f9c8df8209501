"""The closed list of reasons: one word per outcome, the same in body, audit line, metric and README."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a request ended as it did. The values are stable: dashboards and scripts may rely on them."""

    PERMITTED = "permitted"

    TOKEN_MISSING = "token_missing"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_ISSUER_UNKNOWN = "token_issuer_unknown"
    TOKEN_ALGORITHM_REFUSED = "token_algorithm_refused"
    TOKEN_KEY_UNKNOWN = "token_key_unknown"
    TOKEN_SIGNATURE_INVALID = "token_signature_invalid"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_AUDIENCE_WRONG = "token_audience_wrong"
    TOKEN_NOT_AN_ACCESS_TOKEN = "token_not_an_access_token"
    TOKEN_CLAIMS_INVALID = "token_claims_invalid"
    TOKEN_INACTIVE = "token_inactive"
    TOKEN_CHECK_UNAVAILABLE = "token_check_unavailable"

    PATH_MALFORMED = "path_malformed"
    RESOURCE_TYPE_UNKNOWN = "resource_type_unknown"
    QUERY_MALFORMED = "query_malformed"
    PARAMETER_UNKNOWN = "parameter_unknown"
    PARAMETER_EMPTY = "parameter_empty"
    PARAMETER_REPEATED = "parameter_repeated"
    PARAMETER_INVALID = "parameter_invalid"
    MODIFIER_UNKNOWN = "modifier_unknown"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    METHOD_OVERRIDE_REFUSED = "method_override_refused"
    TOKEN_IN_QUERY = "token_in_query"
    FORMAT_NOT_ACCEPTABLE = "format_not_acceptable"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    REQUEST_TOO_LARGE = "request_too_large"

    SCOPE_INSUFFICIENT = "scope_insufficient"
    PATIENT_CONTEXT_MISSING = "patient_context_missing"
    PATIENT_CONTEXT_INVALID = "patient_context_invalid"
    USER_REACH_UNKNOWN = "user_reach_unknown"
    TYPE_OUT_OF_REACH = "type_out_of_reach"
    OUT_OF_REACH = "out_of_reach"
    SEARCH_BY_ID_ONLY = "search_by_id_only"
    PARAMETER_OUT_OF_REACH = "parameter_out_of_reach"
    PARAMETER_REFUSED = "parameter_refused"
    COUNT_NOT_EXACT = "count_not_exact"
    INTERACTION_NOT_SUPPORTED = "interaction_not_supported"
    OPERATION_NOT_ALLOWED = "operation_not_allowed"
    PAGE_UNKNOWN = "page_unknown"
    NOT_FOUND = "not_found"

    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_MALFORMED = "upstream_malformed"
    UPSTREAM_TOO_LARGE = "upstream_too_large"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_REJECTED = "upstream_rejected"
    UPSTREAM_FAILED = "upstream_failed"
    OVERLOADED = "overloaded"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reason becomes on the wire: HTTP status, OperationOutcome issue code, and a plain sentence."""

    status: int
    issue_code: str
    sentence: str


_NOT_FOUND = Answer(404, "not-found", "No such resource, or none that this token may see.")

# enforcement.md 6. Everything that could tell whether a resource exists shares one answer (leak 30).
ANSWERS: dict[Reason, Answer] = {
    Reason.PERMITTED: Answer(200, "informational", "The request is permitted."),
    Reason.TOKEN_MISSING: Answer(401, "login", "Send an access token as 'Authorization: Bearer ...'."),
    Reason.TOKEN_MALFORMED: Answer(401, "login", "The access token is not one this server can read."),
    Reason.TOKEN_ISSUER_UNKNOWN: Answer(
        401, "login", "The access token comes from an issuer that is not trusted here."
    ),
    Reason.TOKEN_ALGORITHM_REFUSED: Answer(
        401, "login", "The access token is signed with an algorithm not allowed here."
    ),
    Reason.TOKEN_KEY_UNKNOWN: Answer(
        401, "login", "The access token is signed with a key its issuer does not publish."
    ),
    Reason.TOKEN_SIGNATURE_INVALID: Answer(401, "login", "The signature of the access token is not valid."),
    Reason.TOKEN_EXPIRED: Answer(401, "expired", "The access token has expired."),
    Reason.TOKEN_NOT_YET_VALID: Answer(401, "login", "The access token is not valid yet."),
    Reason.TOKEN_AUDIENCE_WRONG: Answer(401, "login", "The access token was issued for another server."),
    Reason.TOKEN_NOT_AN_ACCESS_TOKEN: Answer(401, "login", "This token is not an access token."),
    Reason.TOKEN_CLAIMS_INVALID: Answer(401, "login", "A claim of the access token is missing or has the wrong form."),
    Reason.TOKEN_INACTIVE: Answer(401, "login", "The access token is not active."),
    Reason.TOKEN_CHECK_UNAVAILABLE: Answer(
        503, "transient", "The access token cannot be checked now; try again later."
    ),
    Reason.PATH_MALFORMED: Answer(400, "invalid", "The path is not one of the FHIR RESTful API."),
    Reason.RESOURCE_TYPE_UNKNOWN: Answer(404, "not-supported", "FHIR R4 has no resource type of that name."),
    Reason.QUERY_MALFORMED: Answer(400, "invalid", "The query string or form body is malformed."),
    Reason.PARAMETER_UNKNOWN: Answer(400, "not-supported", "The parameter is not defined for this request."),
    Reason.PARAMETER_EMPTY: Answer(400, "invalid", "The parameter has no value."),
    Reason.PARAMETER_REPEATED: Answer(400, "invalid", "The parameter may be given only once."),
    Reason.PARAMETER_INVALID: Answer(400, "invalid", "The value of the parameter is not valid."),
    Reason.MODIFIER_UNKNOWN: Answer(400, "not-supported", "The modifier is not defined for this parameter."),
    Reason.METHOD_NOT_ALLOWED: Answer(405, "not-supported", "The method is not defined for this path."),
    Reason.METHOD_OVERRIDE_REFUSED: Answer(400, "not-supported", "Method override headers are refused."),
    Reason.TOKEN_IN_QUERY: Answer(400, "security", "Access tokens are taken from the Authorization header only."),
    Reason.FORMAT_NOT_ACCEPTABLE: Answer(406, "not-supported", "This server answers in FHIR JSON only."),
    Reason.MEDIA_TYPE_UNSUPPORTED: Answer(415, "not-supported", "The media type of the body is not supported here."),
    Reason.REQUEST_TOO_LARGE: Answer(413, "too-long", "The request is larger than this server accepts."),
    Reason.SCOPE_INSUFFICIENT: Answer(403, "forbidden", "No scope of the access token allows this."),
    Reason.PATIENT_CONTEXT_MISSING: Answer(403, "forbidden", "The token has patient/ scopes but names no patient."),
    Reason.PATIENT_CONTEXT_INVALID: Answer(403, "forbidden", "The patient that the token names is not one plain id."),
    Reason.USER_REACH_UNKNOWN: Answer(403, "forbidden", "The token has user/ scopes but its user has no known reach."),
    Reason.TYPE_OUT_OF_REACH: Answer(403, "forbidden", "The scopes of this token do not reach this resource type."),
    Reason.OUT_OF_REACH: _NOT_FOUND,
    Reason.SEARCH_BY_ID_ONLY: Answer(403, "forbidden", "Under this token this type can be searched by _id only."),
    Reason.PARAMETER_OUT_OF_REACH: Answer(403, "forbidden", "The parameter looks into data this token does not reach."),
    Reason.PARAMETER_REFUSED: Answer(403, "not-supported", "The parameter is not allowed through this gateway."),
    Reason.COUNT_NOT_EXACT: Answer(403, "not-supported", "A count over data this token sees in part is not given."),
    Reason.INTERACTION_NOT_SUPPORTED: Answer(
        403, "not-supported", "This gateway does not let that interaction through."
    ),
    Reason.OPERATION_NOT_ALLOWED: Answer(403, "not-supported", "This gateway does not let that operation through."),
    Reason.PAGE_UNKNOWN: Answer(404, "not-found", "This paging link is not valid, or no longer."),
    Reason.NOT_FOUND: _NOT_FOUND,
    Reason.UPSTREAM_UNREACHABLE: Answer(502, "transient", "The FHIR server cannot be reached."),
    Reason.UPSTREAM_TIMEOUT: Answer(504, "timeout", "The FHIR server did not answer in time."),
    Reason.UPSTREAM_MALFORMED: Answer(502, "exception", "The FHIR server's answer could not be verified."),
    Reason.UPSTREAM_TOO_LARGE: Answer(502, "too-costly", "The FHIR server's answer is larger than can be verified."),
    Reason.UPSTREAM_REFUSED: Answer(502, "security", "The FHIR server refused this gateway."),
    Reason.UPSTREAM_REJECTED: Answer(400, "processing", "The FHIR server does not accept this request."),
    Reason.UPSTREAM_FAILED: Answer(502, "exception", "The FHIR server reported an error."),
    Reason.OVERLOADED: Answer(503, "throttled", "The server is busy; try again shortly."),
    Reason.INTERNAL_ERROR: Answer(500, "exception", "An error on our side; the decision id names it in our log."),
}
