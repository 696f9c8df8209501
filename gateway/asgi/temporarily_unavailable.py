"""The refusal, in the form of OAuth errors, of what is not FHIR and could be served a little later."""

from starlette.responses import JSONResponse

from gateway.asgi.refusal import RETRY_AFTER
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS


def temporarily_unavailable(reason: Reason) -> JSONResponse:
    """The error that RFC 6749 4.1.2.1 has for a server that cannot handle the request for a while."""
    text = REFUSAL_TEXTS[reason]
    body = {"error": "temporarily_unavailable", "error_description": text.sentence}
    return JSONResponse(body, text.status, {"retry-after": RETRY_AFTER[text.status], "cache-control": "no-store"})
