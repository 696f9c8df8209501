"""What each page shows and posts back, as values; texts are plain and are escaped when they are rendered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One radio button: `value` is posted, `label` is read, `detail` stands below it in small."""

    value: str
    label: str
    detail: str = ""
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """An outside place to sign in: a link to `href` that reads "Sign in with `name`"."""

    href: str
    name: str


@dataclass(frozen=True, slots=True)
class LoginView:
    """Posts `csrf`, `username`, `password`; or `csrf`, `decision=cancel`, offered when an app waits (`app_name`).

    `local` shows the form for a name and password. `hint` is a note of the operator, such as the names for a demo.
    """

    action: str
    csrf: str
    app_name: str = ""
    username: str = ""
    problem: str = ""
    providers: tuple[Provider, ...] = ()
    local: bool = True
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A patient to choose; `detail` tells namesakes apart: birth date, sex, identifier."""

    value: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class PatientView:
    """Searches with `GET action?name=`; posts `csrf`, `patient` and `decision=choose`, or `decision=cancel`.

    `more` says that the search found more people than are shown.
    """

    action: str
    csrf: str
    app_name: str
    query: str
    people: tuple[Person, ...]
    problem: str = ""
    more: bool = False


@dataclass(frozen=True, slots=True)
class EncounterView:
    """Posts `csrf`, `encounter` and `decision=choose`, or `decision=cancel`.

    An empty `encounter` means no particular visit; that choice is added when `encounters` has none with an empty
    value. The first choice that is `checked` is the one that is chosen beforehand.
    """

    action: str
    csrf: str
    app_name: str
    patient_name: str
    encounters: tuple[Choice, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A narrower permission within a row: `value` is its scope text; `parts` are narrower still."""

    value: str
    label: str
    parts: tuple["Part", ...] = ()
    ticked: bool = False


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """One thing that the app asks for.

    Posts `use-{index}` = `all`, `some` (only with `parts`) or `none`, and `part-{index}` for each part that is ticked.
    Nothing posted for a row means none. A row that is not `optional` is told as a statement and posts nothing.
    A `sensitive` row is marked, and a patient has to answer it: nothing is chosen beforehand, unless the person chose
    it: `use` is what was answered when the page was shown before, and empty where it was not.
    """

    index: int
    sentence: str
    scope: str
    parts: tuple[Part, ...] = ()
    sensitive: bool = False
    optional: bool = True
    use: str = ""


@dataclass(frozen=True, slots=True)
class ConsentView:
    """Posts `csrf`, `use-N`, `part-N`, `remember=yes` when ticked, and `decision=allow` or `decision=deny`.

    `another_patient` offers `decision=another-patient`, which keeps what was ticked.
    `clinician` says in whose words the page speaks. `patient_name` is empty when no patient is chosen.
    `stays_until` is empty, or a sentence that says how long access lasts without the person.
    `own`: the record is the person's own, whatever its name. `may_remember`: whether the answers can be remembered.
    """

    action: str
    csrf: str
    app_name: str
    app_purpose: str
    app_logo: str
    user_name: str
    patient_name: str
    patient_detail: str
    rows: tuple[ScopeRow, ...]
    clinician: bool
    stays_until: str
    problem: str = ""
    remember: bool = False
    own: bool = False
    may_remember: bool = True
    another_patient: bool = False


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One app that has access now; the dates are texts, empty where there is none."""

    grant_id: str
    app_name: str
    patient_name: str
    since: str
    until: str
    last_used: str
    sentences: tuple[str, ...]
    offline: bool


@dataclass(frozen=True, slots=True)
class GrantsView:
    """Posts `csrf` and `grant` to `action` to end that access, `csrf` to `sign_out`; nothing for an empty address."""

    action: str
    csrf: str
    user_name: str
    sign_out: str
    grants: tuple[GrantRow, ...]
    notice: str = ""
    apps: str = ""


@dataclass(frozen=True, slots=True)
class AppCard:
    """An app that can be started; `needs_patient` ones only when a patient is chosen."""

    client_id: str
    name: str
    purpose: str
    logo: str
    needs_patient: bool


@dataclass(frozen=True, slots=True)
class GalleryView:
    """Searches with `GET action?name=`, chooses with `GET action?name=&patient=`, starts with a POST.

    The POST has `csrf`, `patient` (may be empty) and `client`, and its answer opens in a new tab. `csrf` is posted to
    `sign_out` too. A user who is a patient has no `people` and is `chosen`: no search is shown.
    """

    action: str
    csrf: str
    user_name: str
    sign_out: str
    manage: str
    patient_query: str
    people: tuple[Person, ...]
    chosen: str
    chosen_name: str
    apps: tuple[AppCard, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MessageView:
    """An error or a farewell; `reason` and `request_id` are for the support desk."""

    title: str
    message: str
    reason: str = ""
    request_id: str = ""
    link: str = ""
    link_text: str = ""


View = LoginView | PatientView | EncounterView | ConsentView | GrantsView | GalleryView | MessageView
