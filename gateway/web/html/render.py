"""A view as the bytes of its page."""

from typing import assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.web.html.addresses import image, kept_fields, link, path_of
from gateway.web.html.avatar import initials, tone
from gateway.web.html.style import STYLE
from gateway.web.html.views import (
    ConsentView,
    EncounterView,
    GalleryView,
    GrantsView,
    LoginView,
    MessageView,
    PatientView,
    View,
)


def render(view: View) -> bytes:
    """UTF-8, to be sent with `policy.page_headers`. Half a surrogate pair, which UTF-8 cannot write, becomes `?`."""
    page = _ENVIRONMENT.get_template(_template(view)).render(view=view)
    return page.encode("utf-8", "replace")


def _template(view: View) -> str:
    match view:
        case LoginView():
            return "login.html"
        case PatientView():
            return "patient.html"
        case EncounterView():
            return "encounter.html"
        case ConsentView():
            return "consent.html"
        case GrantsView():
            return "grants.html"
        case GalleryView():
            return "gallery.html"
        case MessageView():
            return "message.html"
    assert_never(view)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("gateway.web.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        style=Markup(STYLE),  # noqa: S704 - a file of this package, not input
        image=image,
        initials=initials,
        kept_fields=kept_fields,
        link=link,
        path_of=path_of,
        tone=tone,
    )
    return made


_ENVIRONMENT = _environment()
