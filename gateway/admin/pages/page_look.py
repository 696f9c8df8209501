"""How the admin pages look and speak: as the other pages of the organisation, with styles of their own."""

from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.admin.render_admin import AdminPageRenderer
from gateway.pages.admin.views import AdminView
from gateway.pages.security_headers import page_headers
from gateway.pages.style import stylesheet
from gateway.settings.authorization.branding import Branding
from gateway.smart_server.page_language import current_language
from gateway.smart_server.pages import LOGO_PATH, Pages


@dataclass(frozen=True, slots=True)
class AdminPageLook:
    """Renders admin pages. `pages` are the other pages, whose languages and logo these have too."""

    renderer: AdminPageRenderer
    pages: Pages

    def use_language_of(self, request: Request) -> None:
        """Answer the request in the language that its browser asks for."""
        self.pages.use_language_of(request)

    def respond(self, view: AdminView, status: int = 200) -> Response:
        """The page with its security headers. No page of the world may show it in a frame."""
        language, branding = current_language(), self.renderer.branding
        response = Response(self.renderer.render(view, language), status)
        response.raw_headers = [
            *page_headers(branding, language, ()),
            *[(name, value) for name, value in response.raw_headers if name == b"content-length"],
        ]
        return response


def build_page_look(branding: Branding, pages: Pages) -> AdminPageLook:
    """The look by the settings of the other pages. The logo is served at the admin port as well."""
    style = stylesheet(branding.accent_colour, branding.accent_colour_dark, is_administration=True)
    logo = "" if pages.logo is None else LOGO_PATH.format(name=pages.logo.name)
    return AdminPageLook(AdminPageRenderer(replace(pages.renderer.branding, stylesheet=style, logo=logo)), pages)
