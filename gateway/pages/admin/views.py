"""One value for each kind of admin page: what it shows and what its forms post. Rendering escapes all texts."""

from dataclasses import dataclass

from gateway.pages.admin.parts import Action, Badge, Fact, Field, Frame, Search, Section, Table
from gateway.pages.views import PageLink, ProviderLink


@dataclass(frozen=True, slots=True)
class AdminSignInView:
    """Posts `csrf`, `username` and `password` to `action`."""

    action: str
    csrf: str
    username: str = ""
    problem: str = ""
    providers: tuple[ProviderLink, ...] = ()
    has_password_form: bool = True
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How a part does on which the gateway depends, in a word and a sentence."""

    name: str
    badge: Badge
    sentence: str


@dataclass(frozen=True, slots=True)
class Count:
    """A number that leads to the page with what was counted."""

    number: str
    label: str
    href: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The first page. `facts` are about the gateway itself; `waiting` is what somebody should look at."""

    frame: Frame
    health: tuple[Health, ...]
    counts: tuple[Count, ...]
    facts: tuple[Fact, ...]
    waiting: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class ListView:
    """A list, with a search where it can be long. `problem` is about the search.

    `other_search` leads elsewhere, and stands under the heading `other_title`.
    """

    frame: Frame
    title: str
    lead: str
    table: Table | None
    search: Search | None = None
    actions: tuple[Action, ...] = ()
    problem: str = ""
    other_search: Search | None = None
    other_title: str = ""


@dataclass(frozen=True, slots=True)
class DetailView:
    """One thing: a client, a user, a grant, the keys, a decision, the configuration. `warning` needs attention.

    `back` is the list that it is from. `problem` says why it is not as asked for.
    """

    frame: Frame
    title: str
    facts: tuple[Fact, ...]
    badges: tuple[Badge, ...] = ()
    lead: str = ""
    warning: str = ""
    problem: str = ""
    search: Search | None = None
    sections: tuple[Section, ...] = ()
    actions: tuple[Action, ...] = ()
    back: PageLink | None = None


@dataclass(frozen=True, slots=True)
class FormView:
    """A form. It posts `csrf`, `hidden` and `fields` to `action`. `back` is where one goes who changes their mind.

    `problem` is about the form as a whole, with `details` in English; what is wrong with a field stands at the field.
    """

    frame: Frame
    title: str
    action: str
    fields: tuple[Field, ...]
    button: str
    back: PageLink
    lead: str = ""
    problem: str = ""
    hidden: tuple[tuple[str, str], ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmView:
    """Asks before something ends or changes. It posts `csrf` and `hidden` to `action`.

    `effects` say what will happen, each in a sentence. `facts` show what it is about.
    """

    frame: Frame
    title: str
    action: str
    button: str
    back: PageLink
    effects: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    fields: tuple[Field, ...] = ()
    problem: str = ""
    is_dangerous: bool = True


@dataclass(frozen=True, slots=True)
class SecretView:
    """Shows a secret once: `secret` is kept nowhere. `after` says what to do with it."""

    frame: Frame
    title: str
    secret: str
    label: str
    after: str
    facts: tuple[Fact, ...]
    links: tuple[PageLink, ...]


@dataclass(frozen=True, slots=True)
class AdminMessageView:
    """Why something cannot go on. Without a `frame` nobody has signed in. `reason` is for the support desk.

    `details` are sentences in English, as the services have them.
    """

    title: str
    message: str
    links: tuple[PageLink, ...]
    frame: Frame | None = None
    reason: str = ""
    details: tuple[str, ...] = ()


AdminView = (
    AdminSignInView | OverviewView | ListView | DetailView | FormView | ConfirmView | SecretView | AdminMessageView
)
