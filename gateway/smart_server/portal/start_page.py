"""The start page, to which every page leads back, and the page of an address where nothing is."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.unknown_path import accepts_html
from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError
from gateway.pages.views import MessageView, PageLink
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import error_page, html_response
from gateway.smart_server.page_language import gettext


class StartPage:
    """Says where one is. It shows the same to everybody, and needs no store."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def show(self, request: Request) -> Response:
        """GET: the start page. To a program there is nothing at this address. Raises `HTTPException`."""
        if not accepts_html(request):
            raise HTTPException(404)
        self._dependencies.pages.use_language_of(request)
        issuer = self._dependencies.issuer
        view = MessageView(
            title=gettext("Apps and your health records"),
            message=gettext(
                "Here you decide which apps may see health records. An app that asks for access brings you here."
            ),
            links=(
                PageLink(f"{issuer}/apps", gettext("Start an app")),
                PageLink(f"{issuer}/manage", gettext("See which apps have access")),
            ),
            step=gettext("Start page"),
        )
        return html_response(view, pages=self._dependencies.pages)

    def unknown_page(self, request: Request, status: int) -> Response:
        """The page of an address where nothing is (404), or nothing that a browser can open (405)."""
        self._dependencies.pages.use_language_of(request)
        message = (
            gettext_noop("This address is for programs, and cannot be opened in a browser.")
            if status == 405
            else gettext_noop("There is no page at this address. It may be mistyped, or the page has moved.")
        )
        title = gettext_noop("There is no such page")
        error = PageError("not_found", message, title=title, status=status)
        return error_page(error, self._dependencies.pages)
