"""One ASGI application that passes each request to the gateway in force, which can be replaced meanwhile."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette

from gateway.app import Gateway
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send

Lifespan = Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]


class ServedGateway:
    """A gateway and the number of its requests in progress."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.requests = 0
        self.is_replaced = False
        self.idle = asyncio.Event()

    async def respond(self, application: ASGIApplication, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request to an application of the gateway, which is not closed before that has ended."""
        self.requests += 1
        try:
            await application(scope, receive, send)
        finally:
            self.requests -= 1
            if self.is_replaced and not self.requests:
                self.idle.set()

    async def retire(self) -> None:
        """Close the gateway, which has been replaced, once its requests have ended."""
        if self.requests:
            await self.idle.wait()
        await self.gateway.aclose()


class ReloadableGateway:
    """Requests end under the gateway with which they began."""

    def __init__(self, first: Gateway, lifespan: Lifespan) -> None:
        """`lifespan` surrounds everything, whatever gateway is in force."""
        self._served = ServedGateway(first)
        self._starlette = Starlette(lifespan=lifespan)

    @property
    def current(self) -> Gateway:
        """The gateway in force."""
        return self._served.gateway

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass one request on."""
        if scope["type"] != "http":
            return self._starlette(scope, receive, send)
        served = self._served
        return served.respond(served.gateway, scope, receive, send)

    async def administer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on that came to the admin port."""
        if scope["type"] == "http":
            served = self._served
            await served.respond(served.gateway.administer, scope, receive, send)

    def replace(self, following: Gateway) -> ServedGateway:
        """Pass requests to `following` from now on. Returns what was in force, which is to be retired."""
        replaced, self._served = self._served, ServedGateway(following)
        replaced.is_replaced = True
        return replaced
