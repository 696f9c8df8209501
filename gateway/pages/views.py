"""One value for each page: what it shows and what its forms post. Texts are plain; rendering escapes them."""

from dataclasses import dataclass

from gateway.pages.granted_access_view import GrantedAccessView


@dataclass(frozen=True, slots=True)
class EncounterChoice:
    """A radio button: `value` is posted, `label` is its text, `detail` is the smaller text below it."""

    value: str
    label: str
    detail: str = ""
    checked: bool = True


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """A link to the login of an OpenID provider: "Sign in with `name`"."""

    href: str
    name: str


@dataclass(frozen=True, slots=True)
class LoginView:
    """Posts `csrf`, `username` and `password`, or `csrf` and `decision=cancel`, which needs an app (`app_name`).

    `local` shows the form for a name and password. `hint` is a note by the operator, such as the names for a demo.
    `warning` is a sentence about an app that nobody has reviewed. `user_name` has signed in already, such as when the
    page is reached by the back button, and goes on to `next_page`.
    """

    action: str
    csrf: str
    app_name: str = ""
    username: str = ""
    problem: str = ""
    providers: tuple[ProviderLink, ...] = ()
    has_password_form: bool = True
    hint: str = ""
    warning: str = ""
    user_name: str = ""
    next_page: str = ""


@dataclass(frozen=True, slots=True)
class PatientChoice:
    """A patient to choose; `detail` distinguishes people of the same name: birth date, sex, identifier."""

    value: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class PatientView:
    """Searches with `GET action?name=`; posts `csrf`, `patient` and `decision=choose`, or `decision=cancel`.

    `has_more`: the search found more patients than the page shows. `warning` is a sentence about an app that
    nobody has reviewed. `csrf` is also posted to `switch_user`, for somebody else; it is empty where nobody else may.
    """

    action: str
    csrf: str
    app_name: str
    query: str
    patients: tuple[PatientChoice, ...]
    problem: str = ""
    has_more: bool = False
    user_name: str = ""
    switch_user: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class EncounterView:
    """Posts `csrf`, `encounter` and `decision=choose`, or `decision=cancel`.

    An empty `encounter` means no particular visit. The template adds that choice unless `encounters` has a choice with
    an empty value. The first choice with `checked` is preselected.
    """

    action: str
    csrf: str
    app_name: str
    patient_name: str
    encounters: tuple[EncounterChoice, ...]
    problem: str = ""
    user_name: str = ""
    switch_user: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class ScopePart:
    """A narrower permission within a row: `value` is its scope text, `parts` are narrower permissions within it."""

    value: str
    label: str
    parts: tuple["ScopePart", ...] = ()
    ticked: bool = False


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope that the app requests.

    Posts `use-{index}` = `all`, `some` (only with `parts`) or `none`, and `part-{index}` for each ticked part.
    A row without a posted value means none. A row that is not `optional` is a statement and posts nothing.
    A row that `is_group` asks about several scopes at once: `scope` has them all, and its parts are these scopes, each
    with its number in the group as its value.
    A `sensitive` row is marked, and nothing is preselected in it. `use` is the earlier answer when the page is shown
    again, and empty on the first time.
    """

    index: int
    sentence: str
    scope: str
    parts: tuple[ScopePart, ...] = ()
    sensitive: bool = False
    optional: bool = True
    use: str = ""
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class ConsentUser:
    """Who is asked for consent; `is_clinician` selects the wording of the page."""

    name: str
    is_clinician: bool


@dataclass(frozen=True, slots=True)
class ConsentPatient:
    """Whose records it is about; `name` is empty without a patient. `is_user`: these are the user's own records."""

    name: str
    detail: str
    is_user: bool = False


@dataclass(frozen=True, slots=True)
class ConsentApp:
    """The app that requests access, as it describes itself, and where it is.

    `recipient` is the place to which data goes: the host of the redirect URI. `warning` is a sentence about an app that
    nobody has reviewed. `policy` and `terms` are URLs. All but `name` and `recipient` may be empty.
    """

    name: str
    purpose: str
    logo: str
    recipient: str
    warning: str = ""
    policy: str = ""
    terms: str = ""


@dataclass(frozen=True, slots=True)
class PurposeChoice:
    """A purpose of use that the user may name: its code, and what the page calls it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class ConsentOffer:
    """What can be granted. `purposes` are those of which one may be named, so that protected records are shown.

    `may_keep_state`: the app may also keep state of its own here.
    """

    rows: tuple[ScopeRow, ...]
    purposes: tuple[PurposeChoice, ...] = ()
    may_keep_state: bool = False


@dataclass(frozen=True, slots=True)
class ConsentSubject:
    """What the user consents to: everything about the request that the consent page shows.

    The form token carries a digest of each member (`authorize/form_token.py`), so that a consent counts only for what
    its page showed. Any new fact on the page belongs into this value, and is then covered by the digest.
    """

    user: ConsentUser
    patient: ConsentPatient
    app: ConsentApp
    offer: ConsentOffer


@dataclass(frozen=True, slots=True)
class ConsentView:
    """Posts `csrf`, `use-N`, `part-N`, `remember=yes` when ticked, and `decision=allow` or `decision=deny`.

    Where purposes are offered, it posts `purpose`: the value of one, or empty. `purpose` is the one chosen before.

    All fields beside `subject` are the state of the form. `another_patient` offers `decision=another-patient`, which
    keeps what was ticked. `may_remember` offers to remember the answers. `switch_user` is as in `PatientView`.
    """

    subject: ConsentSubject
    action: str
    csrf: str
    problem: str = ""
    remember: bool = False
    may_remember: bool = True
    another_patient: bool = False
    switch_user: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class AppCard:
    """An app that can be started. With `needs_patient`, only after a patient is chosen."""

    client_id: str
    name: str
    purpose: str
    logo: str
    needs_patient: bool


@dataclass(frozen=True, slots=True)
class AppGalleryView:
    """Searches with `GET action?name=`, chooses with `GET action?name=&patient=`, and starts an app with a POST.

    The POST has `csrf`, `patient` (may be empty) and `client`, and its response opens in a new tab. `csrf` is also
    posted to `sign_out`. For a user who is a patient, `patients` is empty and the user is `chosen`: there is no search.
    """

    action: str
    csrf: str
    user_name: str
    sign_out: str
    granted_access: str
    patient_query: str
    patients: tuple[PatientChoice, ...]
    chosen_patient: str
    chosen_patient_name: str
    apps: tuple[AppCard, ...]
    problem: str = ""
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link to another page."""

    href: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """An error, a confirmation, or the start page; `reason` and `request_id` are for the support desk.

    `advice` says what to do. `links` say where to go next: the first is the one to follow. `app_name` is the app that
    it is about. `step` stands above the heading, and may be empty.
    """

    title: str
    message: str
    reason: str = ""
    request_id: str = ""
    links: tuple[PageLink, ...] = ()
    app_name: str = ""
    advice: str = ""
    step: str = ""


View = LoginView | PatientView | EncounterView | ConsentView | GrantedAccessView | AppGalleryView | MessageView
