"""The templates of the pages, compiled once for each language in a process."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.languages.language import Language
from gateway.pages.allowed_urls import path_of, query_fields, safe_image, safe_link
from gateway.pages.constant_texts import ConstantTexts
from gateway.pages.initials import initials, tone_of

# At most so many languages are kept, with their compiled templates.
_MAX_LANGUAGES = 50


@lru_cache(maxsize=_MAX_LANGUAGES)
def environment_of(language: Language) -> Environment:
    """The templates in this language."""
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
