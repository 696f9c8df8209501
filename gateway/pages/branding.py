"""What an organisation adds to every page: its name, logo, colours and links."""

from dataclasses import dataclass

from gateway.pages.style import Stylesheet, stylesheet


@dataclass(frozen=True, slots=True)
class PageBranding:
    """Texts and URLs may be empty. `logo` is a URL on our own host."""

    stylesheet: Stylesheet
    name: str = ""
    logo: str = ""
    support_url: str = ""
    support_text: str = ""
    privacy_url: str = ""


UNBRANDED = PageBranding(stylesheet())
"""The pages as they are without settings."""
