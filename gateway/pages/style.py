"""The stylesheet that every page carries in a `<style>` element."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

# In the order of the cascade: a later file may override an earlier one.
_FILES = ("palette.css", "layout.css", "controls.css", "components.css", "pages.css", "responsive.css")


# What only the admin pages have comes after that.
_ADMINISTRATION_FILES = ("administration.css",)


def _read_stylesheet(names: tuple[str, ...]) -> str:
    folder = files("gateway.pages").joinpath("styles")
    stylesheet = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    # A browser turns CR LF into LF before it computes the hash for CSP (HTML, preprocessing the input stream).
    return stylesheet.replace("\r\n", "\n")


STYLE = _read_stylesheet(_FILES)
ADMINISTRATION_STYLE = _read_stylesheet((*_FILES, *_ADMINISTRATION_FILES))
# By the name of its colour in `palette.css`.
_LIGHT_ACCENT = (
    "@media not (prefers-color-scheme: dark) {{ :root {{ --action: {0}; --mark: {0}; --action-over: {1}; }} }}\n"
)
_DARK_ACCENT = (
    "@media (prefers-color-scheme: dark) {{ :root {{ --action: {0}; --mark: {0}; --action-over: {1}; "
    "--on-action: var(--page); }} }}\n"
)
# How much of the accent stays in the colour of a button under the pointer. The rest is black, or white in dark mode.
_OVER = 0.8


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """A stylesheet. `text` has no input in it: colours are `#` and six hexadecimal digits.

    `hash` is a source of `style-src`, without the quotes.
    """

    text: str
    hash: str


def stylesheet(
    accent: str | None = None, accent_dark: str | None = None, *, is_administration: bool = False
) -> Stylesheet:
    """The stylesheet with the organisation's colours in the place of ours, where there are any.

    `is_administration`: that of the admin pages, which have tables and more kinds of fields.
    """
    text = ADMINISTRATION_STYLE if is_administration else STYLE
    if accent is not None:
        text += _LIGHT_ACCENT.format(accent, _mix(accent, 0))
    if accent_dark is not None:
        text += _DARK_ACCENT.format(accent_dark, _mix(accent_dark, 255))
    return Stylesheet(text, "sha256-" + b64encode(sha256(text.encode()).digest()).decode())


def _mix(colour: str, other: int) -> str:
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(channel * _OVER + other * (1 - _OVER)):02x}" for channel in channels)
