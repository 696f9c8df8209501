"""`/launch/{opening}`: the browser of a user whom a launcher vouches for comes past here on its way to the app."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import PageError
from gateway.storage.handles import digest
from gateway.web.smart.browser import Cookies
from gateway.web.smart.launching import VOUCHED_SECONDS
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import see_other


class OpeningEndpoint:
    """The launch is bound to the browser by a cookie, as each request is that is under way."""

    def __init__(self, parts: SmartParts, cookies: Cookies) -> None:
        self._parts = parts
        self._cookies = cookies

    async def answer(self, request: Request) -> Response:
        """GET: on to the app, once. Raises `PageError`."""
        launches = self._parts.remembered.launches
        opening = await launches.take_opening(request.path_params["opening"])
        if opening is None:
            raise PageError("launch_over", "This launch is over. Go back to where you came from and start again.")
        response = see_other(opening.location)
        binding = self._cookies.binding(request) or self._cookies.bind(response)
        await launches.bind(opening.handle, digest(binding), VOUCHED_SECONDS)
        return response
