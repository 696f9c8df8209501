"""What can be wrong with a FHIR request, and the error that reports it."""

from enum import StrEnum

_MAX_OFFENDER = 100


class RequestProblem(StrEnum):
    """Why a request has no `Interaction`. Each value is also a `Reason` of `gateway.policy`, which sets the status."""

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
    BODY_MALFORMED = "body_malformed"
    BUNDLE_MALFORMED = "bundle_malformed"
    BODY_MISSING = "body_missing"
    BODY_MEMBER_REPEATED = "body_member_repeated"
    BODY_TOO_DEEP = "body_too_deep"
    BODY_NOT_A_RESOURCE = "body_not_a_resource"
    BODY_TYPE_MISMATCH = "body_type_mismatch"
    BODY_ID_MISMATCH = "body_id_mismatch"
    BODY_NESTED_RESOURCE = "body_nested_resource"
    PARAMETER_MISSING = "parameter_missing"
    PRECONDITION_INVALID = "precondition_invalid"
    PRECONDITION_MISSING = "precondition_missing"
    APP_STATE_INVALID = "app_state_invalid"
    PATCH_FORMAT_UNSUPPORTED = "patch_format_unsupported"
    PATCH_MALFORMED = "patch_malformed"
    PATCH_NOT_APPLICABLE = "patch_not_applicable"


class RequestError(Exception):
    """The request cannot be parsed, so it is refused before any policy decision.

    `offender` names the wrong parameter, header or part of the path. It is printable and has at most 100 characters.
    It is never the value of a search criterion, which may hold personal data. `hint` is a sentence for the app
    developer, or empty. `allowed_methods` are the methods of the path where the method is the problem (RFC 9110
    10.2.1). `location` is the FHIRPath of the entry of a Bundle that is wrong, or empty.
    """

    def __init__(
        self,
        problem: RequestProblem,
        offender: str = "",
        hint: str = "",
        allowed_methods: tuple[str, ...] = (),
        *,
        location: str = "",
    ) -> None:
        self.problem = problem
        self.offender = _make_printable(offender[:_MAX_OFFENDER])
        self.hint = hint
        self.allowed_methods = allowed_methods
        self.location = location
        super().__init__(f"{problem}: {self.offender}")


def _make_printable(text: str) -> str:
    return text if text.isprintable() else "".join(character if character.isprintable() else "?" for character in text)
