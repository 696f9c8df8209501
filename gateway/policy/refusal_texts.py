"""What a client is told of each reason: the HTTP status, the FHIR issue code and a sentence."""

from dataclasses import dataclass

from gateway.policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class RefusalText:
    """The response to a reason: HTTP status, issue code of the OperationOutcome, and a sentence for people."""

    status: int
    issue_code: str
    sentence: str


_NOT_FOUND = RefusalText(404, "not-found", "The resource does not exist, or this token may not see it.")

# enforcement.md 6. Every reason that could reveal whether a resource exists has the same text (leak_30).
REFUSAL_TEXTS: dict[Reason, RefusalText] = {
    Reason.PERMITTED: RefusalText(200, "informational", "The request is permitted."),
    Reason.TOKEN_MISSING: RefusalText(401, "login", "Send an access token as 'Authorization: Bearer ...'."),
    Reason.TOKEN_MALFORMED: RefusalText(401, "login", "This server cannot read the access token."),
    Reason.TOKEN_ISSUER_UNKNOWN: RefusalText(
        401, "login", "The access token comes from an issuer that is not trusted here."
    ),
    Reason.TOKEN_ALGORITHM_REFUSED: RefusalText(
        401, "login", "The access token is signed with an algorithm that is not allowed here."
    ),
    Reason.TOKEN_KEY_UNKNOWN: RefusalText(
        401, "login", "The access token is signed with a key that its issuer does not publish."
    ),
    Reason.TOKEN_SIGNATURE_INVALID: RefusalText(401, "login", "The signature of the access token is not valid."),
    Reason.TOKEN_EXPIRED: RefusalText(401, "expired", "The access token has expired."),
    Reason.TOKEN_NOT_YET_VALID: RefusalText(401, "login", "The access token is not valid yet."),
    Reason.TOKEN_AUDIENCE_WRONG: RefusalText(401, "login", "The access token was issued for another server."),
    Reason.TOKEN_NOT_AN_ACCESS_TOKEN: RefusalText(401, "login", "This token is not an access token."),
    Reason.TOKEN_CLAIMS_INVALID: RefusalText(
        401, "login", "A claim of the access token is missing or has the wrong form."
    ),
    Reason.TOKEN_INACTIVE: RefusalText(401, "login", "The access token is not active."),
    Reason.TOKEN_CERTIFICATE_MISSING: RefusalText(
        401, "login", "The access token is bound to a certificate that the client has not presented."
    ),
    Reason.TOKEN_CHECK_UNAVAILABLE: RefusalText(
        503, "transient", "The access token cannot be checked now; try again later."
    ),
    Reason.REQUEST_MALFORMED: RefusalText(400, "invalid", "The request is not HTTP/1.1 with exactly one meaning."),
    Reason.PATH_MALFORMED: RefusalText(400, "invalid", "The path is not part of the FHIR RESTful API."),
    Reason.RESOURCE_TYPE_UNKNOWN: RefusalText(404, "not-supported", "FHIR R4 has no resource type with that name."),
    Reason.QUERY_MALFORMED: RefusalText(400, "invalid", "The query string or form body is malformed."),
    Reason.PARAMETER_UNKNOWN: RefusalText(400, "not-supported", "The parameter is not defined for this request."),
    Reason.PARAMETER_EMPTY: RefusalText(400, "invalid", "The parameter has no value."),
    Reason.PARAMETER_REPEATED: RefusalText(400, "invalid", "The parameter may be given only once."),
    Reason.PARAMETER_INVALID: RefusalText(400, "invalid", "The value of the parameter is not valid."),
    Reason.MODIFIER_UNKNOWN: RefusalText(400, "not-supported", "The modifier is not defined for this parameter."),
    Reason.METHOD_NOT_ALLOWED: RefusalText(405, "not-supported", "The method is not defined for this path."),
    Reason.METHOD_OVERRIDE_REFUSED: RefusalText(400, "not-supported", "Method override headers are refused."),
    Reason.TOKEN_IN_QUERY: RefusalText(400, "security", "Access tokens are accepted in the Authorization header only."),
    Reason.FORMAT_NOT_ACCEPTABLE: RefusalText(406, "not-supported", "This server responds in FHIR JSON only."),
    Reason.MEDIA_TYPE_UNSUPPORTED: RefusalText(
        415, "not-supported", "The media type of the body is not supported here."
    ),
    Reason.REQUEST_TOO_LARGE: RefusalText(413, "too-long", "The request is larger than this server accepts."),
    Reason.REQUEST_TOO_SLOW: RefusalText(408, "timeout", "The request did not arrive in the time that it may take."),
    Reason.BODY_MALFORMED: RefusalText(
        400, "structure", "The body is not one FHIR resource in JSON, in which each member stands once."
    ),
    Reason.BUNDLE_MALFORMED: RefusalText(
        400, "structure", "The body is no Bundle of type batch or transaction whose entries are requests."
    ),
    Reason.PARAMETER_MISSING: RefusalText(400, "required", "A parameter is missing that this request needs."),
    Reason.BODY_MISSING: RefusalText(400, "required", "The request has no body."),
    Reason.BODY_INCOMPLETE: RefusalText(400, "incomplete", "The body ended or paused before it was complete."),
    Reason.BODY_MEMBER_REPEATED: RefusalText(400, "structure", "A member of the body stands twice in one object."),
    Reason.BODY_TOO_DEEP: RefusalText(400, "too-long", "The body is nested deeper than this server reads."),
    Reason.BODY_NOT_A_RESOURCE: RefusalText(400, "structure", "The body is no resource of FHIR R4."),
    Reason.BODY_TYPE_MISMATCH: RefusalText(400, "invalid", "The body is a resource of another type than the address."),
    Reason.BODY_ID_MISMATCH: RefusalText(400, "invalid", "The id of the body is not the one of the address."),
    Reason.BODY_NESTED_RESOURCE: RefusalText(
        400, "structure", "The body holds a resource at a place where FHIR has none."
    ),
    Reason.PRECONDITION_INVALID: RefusalText(400, "invalid", "The precondition is not defined for this request."),
    Reason.PRECONDITION_MISSING: RefusalText(428, "required", "Send If-Match with the version that is to be changed."),
    Reason.APP_STATE_INVALID: RefusalText(422, "invalid", "The body is no app state as SMART App Launch defines it."),
    Reason.PATCH_FORMAT_UNSUPPORTED: RefusalText(415, "not-supported", "Patches are accepted as JSON Patch only."),
    Reason.PATCH_MALFORMED: RefusalText(400, "invalid", "The body is no JSON Patch."),
    Reason.PATCH_NOT_APPLICABLE: RefusalText(422, "processing", "The patch cannot be applied to the resource."),
    Reason.SCOPE_INSUFFICIENT: RefusalText(403, "forbidden", "No scope of the access token allows this."),
    Reason.PATIENT_CONTEXT_MISSING: RefusalText(
        403, "forbidden", "The token has patient/ scopes but no patient context."
    ),
    Reason.PATIENT_CONTEXT_INVALID: RefusalText(
        403, "forbidden", "The patient context of the token is not a single id."
    ),
    Reason.USER_REACH_UNKNOWN: RefusalText(
        403, "forbidden", "The token has user/ scopes, but its user has no known reach."
    ),
    Reason.TYPE_OUT_OF_REACH: RefusalText(
        403, "forbidden", "The scopes of this token do not reach this resource type."
    ),
    Reason.OUT_OF_REACH: _NOT_FOUND,
    Reason.RECORD_WITHHELD: _NOT_FOUND,
    Reason.SEARCH_BY_ID_ONLY: RefusalText(
        403, "forbidden", "With this token, this resource type can be searched by _id only."
    ),
    Reason.PARAMETER_OUT_OF_REACH: RefusalText(
        403, "forbidden", "The parameter reads data that this token does not reach."
    ),
    Reason.PARAMETER_REFUSED: RefusalText(403, "not-supported", "This gateway does not allow the parameter."),
    Reason.COUNT_NOT_EXACT: RefusalText(
        403, "not-supported", "There is no count, because this token sees only a part of the data."
    ),
    Reason.SEARCH_NOT_NARROWED: RefusalText(
        403, "not-supported", "The FHIR server cannot limit this search to the patients whom the token reaches."
    ),
    Reason.INTERACTION_NOT_SUPPORTED: RefusalText(
        403, "not-supported", "This gateway does not support the interaction."
    ),
    Reason.OPERATION_NOT_ALLOWED: RefusalText(403, "not-supported", "This gateway does not allow the operation."),
    Reason.WRITES_OFF: RefusalText(403, "not-supported", "This gateway is configured for reading only."),
    Reason.WRITE_FORBIDDEN: RefusalText(403, "forbidden", "This gateway is configured not to change such resources."),
    Reason.WRITE_OUT_OF_REACH: RefusalText(
        403, "forbidden", "The scopes of this token do not permit the resource as it would be stored."
    ),
    Reason.LABELS_CHANGED: RefusalText(403, "forbidden", "This token may not change these security labels or tags."),
    Reason.REACH_EXTENDED: RefusalText(
        403, "forbidden", "By this record the reach of users is found, and this token may not extend it."
    ),
    Reason.REFERENCE_OUT_OF_REACH: RefusalText(
        403, "forbidden", "The body refers to a resource that does not exist, or that this token may not refer to."
    ),
    Reason.REFERENCE_REFUSED: RefusalText(400, "invalid", "The body has a reference that is not accepted here."),
    Reason.BINARY_NOT_VOUCHED: RefusalText(
        403,
        "forbidden",
        "Neither the securityContext of the Binary nor a resource of the same transaction that points at it says that "
        "it belongs to whom this token reaches.",
    ),
    Reason.PATCH_TEST_REFUSED: RefusalText(
        403,
        "forbidden",
        "Of a record that this token may not read, a patch may only set or remove whole elements "
        "that do not decide on its reach.",
    ),
    Reason.PRECONDITION_FAILED: RefusalText(
        412, "conflict", "The resource is not in the state that the request requires; read it again."
    ),
    Reason.SEVERAL_MATCHES: RefusalText(412, "multiple-matches", "The criteria match several resources."),
    Reason.VERSION_UNKNOWN: RefusalText(
        403, "not-supported", "The FHIR server gives no version by which the change could be made safely."
    ),
    Reason.RACE_NOT_EXCLUDED: RefusalText(
        403, "not-supported", "The FHIR server has no way to delete exactly what was checked."
    ),
    Reason.CREATION_NOT_EXCLUSIVE: _NOT_FOUND,
    Reason.PAGE_UNKNOWN: RefusalText(404, "not-found", "The paging link is invalid or has expired."),
    Reason.PAGE_STORE_UNAVAILABLE: RefusalText(
        503, "transient", "Long searches cannot be paged now, since the store does not answer; try again later."
    ),
    Reason.EXPORT_UNKNOWN: RefusalText(
        404, "not-found", "The link to the export is invalid or has expired, or the export has ended."
    ),
    Reason.APP_STATE_OUT_OF_REACH: RefusalText(
        403, "forbidden", "The app and this token may not use state with this code and subject in that way."
    ),
    Reason.APP_STATE_FULL: RefusalText(
        422, "too-costly", "There is no room for more state; delete or shorten what is stored."
    ),
    Reason.APP_STATE_UNAVAILABLE: RefusalText(
        503, "transient", "The store of app state does not answer; a change may have happened all the same."
    ),
    Reason.NOT_FOUND: _NOT_FOUND,
    Reason.UPSTREAM_UNREACHABLE: RefusalText(502, "transient", "The FHIR server cannot be reached."),
    Reason.UPSTREAM_TIMEOUT: RefusalText(504, "timeout", "The FHIR server did not respond in time."),
    Reason.UPSTREAM_MALFORMED: RefusalText(502, "exception", "The response of the FHIR server could not be verified."),
    Reason.UPSTREAM_TOO_LARGE: RefusalText(
        502, "too-costly", "The response of the FHIR server is too large to be verified."
    ),
    Reason.UPSTREAM_LINK_UNUSABLE: RefusalText(
        502, "exception", "There is another page, but the FHIR server's link to it cannot be followed."
    ),
    Reason.EXPORT_URL_REFUSED: RefusalText(
        502, "exception", "The FHIR server names a place for the export from which this gateway may not fetch."
    ),
    Reason.UPSTREAM_VERSION_UNSUPPORTED: RefusalText(502, "not-supported", "The FHIR server does not speak FHIR R4."),
    Reason.UPSTREAM_REFUSED: RefusalText(502, "security", "The FHIR server refused this gateway."),
    Reason.UPSTREAM_REJECTED: RefusalText(400, "processing", "The FHIR server does not accept this request."),
    Reason.UPSTREAM_CONFLICT: RefusalText(
        409, "conflict", "The FHIR server refuses the change because of other resources."
    ),
    Reason.UPSTREAM_FAILED: RefusalText(502, "exception", "The FHIR server reported an error."),
    Reason.TOO_MANY_REQUESTS: RefusalText(
        429, "throttled", "This client has too many requests in progress; try again shortly."
    ),
    Reason.CLIENT_GONE: RefusalText(408, "timeout", "The client closed the connection while its request waited."),
    Reason.OVERLOADED: RefusalText(503, "throttled", "The server is busy; try again shortly."),
    Reason.AUDIT_UNAVAILABLE: RefusalText(
        503, "transient", "This access cannot be recorded now, and is refused; try again later."
    ),
    Reason.INTERNAL_ERROR: RefusalText(
        500, "exception", "Internal error. The log of the gateway has the details under the decision id."
    ),
}
