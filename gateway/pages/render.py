"""Render a view to the bytes of its HTML page, in a language and with the organisation's branding."""

from typing import assert_never

from markupsafe import Markup

from gateway.languages.language import Language
from gateway.pages.branding import PageBranding
from gateway.pages.environment import environment_of
from gateway.pages.granted_access_view import GrantedAccessView
from gateway.pages.views import (
    AppGalleryView,
    ConsentView,
    EncounterView,
    LoginView,
    MessageView,
    PatientView,
    View,
)


class PageRenderer:
    """Makes the pages of one organisation. The templates of each language are compiled once in a process."""

    def __init__(self, branding: PageBranding) -> None:
        self.branding = branding
        self._style = Markup(branding.stylesheet.text)  # noqa: S704 - a file of this package, and checked colours

    def render(self, view: View, language: Language) -> bytes:
        """The page in UTF-8, to send with `security_headers.page_headers`. An unpaired surrogate becomes `?`."""
        template = environment_of(language).get_template(_template_name(view))
        html = template.render(view=view, branding=self.branding, style=self._style)
        return html.encode("utf-8", "replace")


def _template_name(view: View) -> str:
    match view:
        case LoginView():
            return "login.html"
        case PatientView():
            return "patient.html"
        case EncounterView():
            return "encounter.html"
        case ConsentView():
            return "consent.html"
        case GrantedAccessView():
            return "granted_access.html"
        case AppGalleryView():
            return "app_gallery.html"
        case MessageView():
            return "message.html"
    assert_never(view)
