"""The ASGI types that both halves of the gateway use, and the names of the gateway's own ASGI extensions."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

# The extension that lets the application send a whole response as one message, and the type of that message. It has
# `status`, `headers` and the complete `body`. The server adds Content-Length and omits the body for HEAD and 304.
WHOLE_RESPONSE = "gateway.answer.whole"

# The extension that holds the `ConnectionMemory` of the connection over which a request arrived.
CONNECTION = "gateway.connection"

# Where a request notes in its scope that it is in progress: the `RequestsInProgress` that has counted it, and for whom.
# The HTTP server ends that when the response has been sent.
PLACE = "gateway.place"

# The extension that holds the certificate of the client, as DER; absent or None if it has presented none.
CLIENT_CERTIFICATE = "gateway.client_certificate"
