"""How the pages of the SMART server look, speak and may be shown."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import load_language
from gateway.languages.offered_languages import OfferedLanguages
from gateway.oauth.errors import PageError
from gateway.pages.branding import PageBranding
from gateway.pages.logo_file import LogoFile, check_logo
from gateway.pages.render import PageRenderer
from gateway.pages.style import stylesheet
from gateway.settings.authorization.smart_server import SmartServer
from gateway.smart_server.page_language import use_language

LOGO_PATH = "/branding/{name}"
"""The path of the logo, below the issuer."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What all pages share. `frame_ancestors` are the origins that may show them in a frame.

    `start_page` is the URL of the page to which every error page links.
    """

    renderer: PageRenderer
    languages: OfferedLanguages
    logo: LogoFile | None
    frame_ancestors: tuple[str, ...]
    start_page: str

    def use_language_of(self, request: Request, ui_locales: str = "") -> None:
        """Answer the request in the language that its browser, or the app, asks for."""
        use_language(self.languages.choose(request.headers.get("accept-language", ""), ui_locales))

    async def send_logo(self, request: Request) -> Response:
        """GET: the logo. Its name changes with its content. Raises `PageError`."""
        if self.logo is None or request.path_params["name"] != self.logo.name:
            raise PageError("not_found", "There is no such picture here.", status=404)
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            # An SVG that is opened by itself is a document: it gets no rights.
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "cross-origin-resource-policy": "same-origin",
        }
        return Response(self.logo.content, headers=headers, media_type=self.logo.media_type)


def build_pages(settings: SmartServer, issuer: str) -> Pages:
    """The pages with the configured branding and languages. `issuer` has no trailing slash."""
    branding, languages = settings.branding, settings.languages
    logo = check_logo(branding.logo.read_bytes()) if branding.logo is not None else None
    page_branding = PageBranding(
        stylesheet(branding.accent_colour, branding.accent_colour_dark),
        name=branding.name or "",
        logo="" if logo is None else issuer + LOGO_PATH.format(name=logo.name),
        support_url=branding.support_url or "",
        support_text=branding.support_text or "",
        privacy_url=branding.privacy_url or "",
    )
    return Pages(
        renderer=PageRenderer(page_branding),
        languages=OfferedLanguages(tuple(map(load_language, languages.offered)), load_language(languages.default)),
        logo=logo,
        frame_ancestors=settings.frame_ancestors,
        start_page=f"{issuer}/",
    )
