"""Refused requests: the exception that ends a request, and the response that the client receives."""

from gateway.asgi.response import FHIR_HEADERS, FhirResponse
from gateway.asgi.types import Header
from gateway.fhir.resources.operation_outcome import build_operation_outcome, encode_outcome
from gateway.policy.decision_types import Deny
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS

# Seconds, by status. Who has too much in progress may go on as soon as some of it has ended.
RETRY_AFTER = {429: "1", 503: "5"}


class RequestRefused(Exception):
    """Ends the processing of a request; `deny` holds the reason."""

    def __init__(
        self,
        reason: Reason,
        offender: str = "",
        *,
        required_scope: str = "",
        hint: str = "",
        public_reason: Reason | None = None,
    ) -> None:
        """`public_reason` is the reason that the client sees, where it must learn less than the audit log."""
        super().__init__(reason.value)
        self.deny = Deny(reason, offender, required_scope)
        self.hint = hint
        self.public_reason = public_reason
        self.headers: list[Header] = []
        # The FHIRPath of the entry of a batch or transaction that is refused.
        self.location = ""
        # Under which the policy decided so, before the FHIR server was asked; None for any other refusal.
        self.decided_under: Grant | None = None

    @classmethod
    def from_decision(cls, deny: Deny) -> "RequestRefused":
        """The refusal that a decision requires."""
        refused = cls(deny.reason, deny.offender, required_scope=deny.required_scope)
        if deny.allowed_methods:
            refused.headers.append((b"allow", ", ".join(deny.allowed_methods).encode()))
        return refused


def refusal_response(refused: RequestRefused, *, realm: str) -> FhirResponse:
    """The response to a refused request: its status, an OperationOutcome, and the challenge of RFC 6750 3.

    Not found and out of reach give the same response, byte for byte (leak_30). The audit log has the true reason.
    """
    reason = refused.deny.reason
    public_reason = refused.public_reason or reason
    text = REFUSAL_TEXTS[public_reason]
    if text == REFUSAL_TEXTS[Reason.NOT_FOUND]:
        public_reason = Reason.NOT_FOUND
    offender = "" if public_reason is Reason.NOT_FOUND else refused.deny.offender
    sentence = f"{text.sentence} {refused.hint}".strip()
    outcome = build_operation_outcome(
        code=text.issue_code, reason=public_reason, text=sentence, expression=offender, location=refused.location
    )
    headers = [*FHIR_HEADERS, *refused.headers]
    challenge = _challenge(public_reason, text.status, refused.deny.required_scope, realm)
    if challenge:
        headers.append((b"www-authenticate", challenge.encode("ascii", "replace")))
    retry_after = RETRY_AFTER.get(text.status)
    if retry_after is not None:
        headers.append((b"retry-after", retry_after.encode()))
    return FhirResponse(text.status, reason, encode_outcome(outcome), headers)


def _challenge(reason: Reason, status: int, required_scope: str, realm: str) -> str | None:
    if reason is Reason.TOKEN_MISSING:
        return f'Bearer realm="{realm}"'
    if status == 401:
        return f'Bearer realm="{realm}", error="invalid_token"'
    if reason is Reason.SCOPE_INSUFFICIENT:
        scope = f', scope="{required_scope}"' if required_scope else ""
        return f'Bearer realm="{realm}", error="insufficient_scope"{scope}'
    return None
