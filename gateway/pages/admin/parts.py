"""The parts of which admin pages are made: tables, facts, fields of forms, and what one can do next."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "care", "bad", "quiet"]
"""How a badge looks. Its text says the same: a colour alone says nothing."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A word about a state, such as "Disabled"."""

    text: str
    tone: Tone = "quiet"


@dataclass(frozen=True, slots=True)
class NavigationLink:
    """A link to one of the sections; `is_current` is the one that the page belongs to."""

    href: str
    text: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a page once somebody has signed in.

    `role` says in words what they may do. `csrf` is posted with every form, also to `sign_out`. `notice` is what has
    just been done, and empty otherwise.
    """

    user_name: str
    role: str
    csrf: str
    sign_out: str
    navigation: tuple[NavigationLink, ...]
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """A link to a page where something can be done. Every change has a page of its own, so this is never a form.

    `is_outside` opens the page of somebody else, in a new tab.
    """

    href: str
    text: str
    kind: Literal["main", "plain", "danger"] = "plain"
    is_outside: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table, or the value of a fact. `href` makes its text a link, `detail` is a smaller text below it.

    `is_code`: it is a name of programs, such as a client_id.
    """

    text: str
    detail: str = ""
    href: str = ""
    badge: Badge | None = None
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with one cell for each of `columns`; the first names the row. `empty` says what to do where there are none.

    `next_page` is a link to the rows that follow, and empty on the last page; `first_page` leads back to the first, and
    is empty there.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    next_page: str = ""
    first_page: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its values, which are listed below each other. `is_english`: both are, whatever the page speaks."""

    label: str
    values: tuple[Cell, ...]
    is_english: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with a heading. `note` says what it is about.

    `sentences` are paragraphs and `code` is a text of programs; both are in English, as the services have them.
    """

    title: str
    note: str = ""
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    sentences: tuple[str, ...] = ()
    code: str = ""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of a field."""

    value: str
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. `value` is what it has when the page is shown; of a `tick`, any text means ticked.

    `problem` says what is wrong with it in English, as the services do, and stands beside it. `help` says what belongs
    into it. `choices` are those of a `choice`, which shows all of them at once, or of a `select`.
    """

    name: str
    label: str
    kind: Literal["text", "search", "password", "area", "choice", "select", "tick"] = "text"
    value: str = ""
    help: str = ""
    problem: str = ""
    choices: tuple[Choice, ...] = ()
    is_required: bool = False
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A form that searches with a GET of `action` and `fields`."""

    action: str
    fields: tuple[Field, ...]
    button: str
