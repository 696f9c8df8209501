"""Render an admin page to the bytes of its HTML."""

from typing import assert_never

from markupsafe import Markup

from gateway.languages.language import Language
from gateway.pages.admin.views import (
    AdminMessageView,
    AdminSignInView,
    AdminView,
    ConfirmView,
    DetailView,
    FormView,
    ListView,
    OverviewView,
    SecretView,
)
from gateway.pages.branding import PageBranding
from gateway.pages.environment import environment_of


class AdminPageRenderer:
    """Makes the admin pages of one organisation. `branding.stylesheet` is that of the admin pages."""

    def __init__(self, branding: PageBranding) -> None:
        self.branding = branding
        self._style = Markup(branding.stylesheet.text)  # noqa: S704 - files of this package, and checked colours

    def render(self, view: AdminView, language: Language) -> bytes:
        """The page in UTF-8, to send with `security_headers.page_headers`. An unpaired surrogate becomes `?`."""
        template = environment_of(language).get_template(f"admin/{_template_name(view)}.html")
        html = template.render(view=view, branding=self.branding, style=self._style)
        return html.encode("utf-8", "replace")


def _template_name(view: AdminView) -> str:
    match view:
        case AdminSignInView():
            return "sign_in"
        case OverviewView():
            return "overview"
        case ListView():
            return "list"
        case DetailView():
            return "detail"
        case FormView():
            return "form"
        case ConfirmView():
            return "confirm"
        case SecretView():
            return "secret"
        case AdminMessageView():
            return "message"
    assert_never(view)
