"""`/.well-known/user-access-brands.json` below the FHIR base: the bundle of brands, for every origin (UB-8, UB-9)."""

from hashlib import sha256

from gateway.asgi.cors import ANY_ORIGIN, PUBLIC_PREFLIGHT
from gateway.asgi.response import FhirResponse, send_response
from gateway.asgi.types import Header, Receive, Scope, Send
from gateway.policy.reasons import Reason


class BrandBundleDocument:
    """Serves the operator's bundle as it is: without a token, and with a validator, because apps ask again."""

    def __init__(self, content: bytes) -> None:
        """`content` has been checked (`check_brand_bundle`)."""
        self._content = content
        self._tag = sha256(content).hexdigest()[:32].encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to GET, HEAD and OPTIONS."""
        await send_response(send, self._respond(scope["method"], scope["headers"]), head=scope["method"] == "HEAD")

    def _respond(self, method: str, request_headers: list[Header]) -> FhirResponse:
        if method not in {"GET", "HEAD"}:
            allow = [(b"allow", b"GET, HEAD, OPTIONS"), *PUBLIC_PREFLIGHT]
            return FhirResponse(204 if method == "OPTIONS" else 405, Reason.PERMITTED, b"", allow)
        headers = [
            (b"etag", b'W/"%s"' % self._tag),
            (b"cache-control", b"public, max-age=300"),
            (b"x-content-type-options", b"nosniff"),
            *ANY_ORIGIN,
        ]
        if self._is_known(request_headers):
            return FhirResponse(304, Reason.PERMITTED, b"", headers)
        content_type = (b"content-type", b"application/fhir+json;charset=utf-8")
        return FhirResponse(200, Reason.PERMITTED, self._content, [content_type, *headers])

    def _is_known(self, request_headers: list[Header]) -> bool:
        """Whether the client has this version. Validators are compared weakly (RFC 9110 13.1.2)."""
        tags = [
            tag.strip()
            for name, value in request_headers
            if name.lower() == b"if-none-match"
            for tag in value.split(b",")
        ]
        return b"*" in tags or any(tag.removeprefix(b"W/") == b'"%s"' % self._tag for tag in tags)
