"""What can be wrong with a request, and the one error that says so."""

from enum import StrEnum

_MAX_OFFENDER = 100


class Problem(StrEnum):
    """Why a request has no `Interaction`. Each value is also a reason of the policy room, which knows its status."""

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


class RequestError(Exception):
    """The request is refused before anyone asks what it may do.

    `offender` is the name or piece that is wrong, printable and at most 100 characters; it is never the value of a
    search criterion, which may hold a person's data. `hint` is a sentence for the app developer, or empty. `allow`
    lists the methods of the path where the method is the problem (RFC 9110 10.2.1).
    """

    def __init__(self, problem: Problem, offender: str = "", hint: str = "", allow: tuple[str, ...] = ()) -> None:
        self.problem = problem
        self.offender = _printable(offender[:_MAX_OFFENDER])
        self.hint = hint
        self.allow = allow
        super().__init__(f"{problem}: {self.offender}")


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
