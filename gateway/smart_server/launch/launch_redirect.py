"""`/launch/{opening}`: redirects the browser of a user that a launcher vouches for to the launched app."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import see_other
from gateway.smart_server.launch.launch_service import VOUCHED_LAUNCH_LIFETIME
from gateway.storage.tokens.opaque_tokens import digest


class LaunchRedirectEndpoint:
    """Binds the launch to the browser by the same cookie that binds authorization requests."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._cookies = cookies

    async def redirect(self, request: Request) -> Response:
        """GET: redirect to the app, once. Raises `PageError`."""
        launches = self._dependencies.storage.launches
        opening = await launches.take_redirect(request.path_params["opening"])
        if opening is None:
            raise PageError(
                "launch_over",
                "Each start of an app works once, and this one has been used or is too old.",
                title=gettext_noop("This start is over"),
                advice=gettext_noop("Go back to where you came from and start the app again there."),
            )
        response = see_other(opening.location)
        binding = self._cookies.binding(request) or self._cookies.set_binding(response)
        await launches.bind_browser(opening.handle, digest(binding), VOUCHED_LAUNCH_LIFETIME)
        return response
