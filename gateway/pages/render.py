"""Render a view to the bytes of its HTML page, in a language and with the organisation's branding."""

from functools import lru_cache
from typing import assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.languages.language import Language
from gateway.pages.allowed_urls import path_of, query_fields, safe_image, safe_link
from gateway.pages.branding import PageBranding
from gateway.pages.constant_texts import ConstantTexts
from gateway.pages.granted_access_view import GrantedAccessView
from gateway.pages.initials import initials, tone_of
from gateway.pages.views import (
    AppGalleryView,
    ConsentView,
    EncounterView,
    LoginView,
    MessageView,
    PatientView,
    View,
)

# At most so many languages are kept, with their compiled templates.
_MAX_LANGUAGES = 50


class PageRenderer:
    """Makes the pages of one organisation. The templates of each language are compiled once in a process."""

    def __init__(self, branding: PageBranding) -> None:
        self.branding = branding
        self._style = Markup(branding.stylesheet.text)  # noqa: S704 - a file of this package, and checked colours

    def render(self, view: View, language: Language) -> bytes:
        """The page in UTF-8, to send with `security_headers.page_headers`. An unpaired surrogate becomes `?`."""
        template = _environment_of(language).get_template(_template_name(view))
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


@lru_cache(maxsize=_MAX_LANGUAGES)
def _environment_of(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", ConstantTexts],
    )
    # `trimmed` of every {% trans %}: the catalogues hold no line breaks of the templates.
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    environment.globals.update(
        language=language,
        safe_image=safe_image,
        initials=initials,
        query_fields=query_fields,
        safe_link=safe_link,
        path_of=path_of,
        tone_of=tone_of,
    )
    return environment
