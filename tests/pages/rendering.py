"""Pages as the tests render them: without branding, and in English unless they say otherwise."""

from gateway.languages.language import ENGLISH, Language
from gateway.pages.branding import UNBRANDED
from gateway.pages.render import PageRenderer
from gateway.pages.views import View

_RENDERER = PageRenderer(UNBRANDED)


def render(view: View, language: Language = ENGLISH) -> bytes:
    """The page."""
    return _RENDERER.render(view, language)
