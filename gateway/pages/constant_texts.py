"""Puts the texts of a language into its templates when they are compiled, so that no page looks them up."""

import re

from jinja2.ext import Extension

# `_("...")`: a text without values. Those with values are {% trans %}, which is looked up for each page.
_TEXT = re.compile(r"""(?<![\w.])_\("([^"\\]*)"\)""")


class ConstantTexts(Extension):
    """Replaces `_("text")` by the text in the environment's `language`, which is escaped like any other string."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template's source with its constants translated."""
        return _TEXT.sub(lambda match: self._literal(match[1]), source)

    def _literal(self, text: str) -> str:
        translated: str = self.environment.globals["language"].gettext(text)  # type: ignore[attr-defined]  # a global of ours
        return '"{}"'.format(translated.replace("\\", "\\\\").replace('"', '\\"'))
