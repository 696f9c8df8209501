"""Adds `X-Content-Type-Options: nosniff` to every response that is not a FHIR response; those have it already."""

from gateway.asgi.types import ASGIApplication, Message, Receive, Scope, Send

_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class NoSniff:
    """An ASGI application whose responses a browser takes for nothing but what their `Content-Type` says."""

    def __init__(self, application: ASGIApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application respond, and add the header where it is missing."""

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name.lower() != _NO_SNIFF[0] for name, _ in headers):
                    message = {**message, "headers": [*headers, _NO_SNIFF]}
            await send(message)

        await self._application(scope, receive, send_with_header)
