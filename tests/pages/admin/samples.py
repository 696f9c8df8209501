"""Sample views for every kind of admin page and its states, each with a descriptive name."""

from dataclasses import replace

from gateway.languages.language import ENGLISH, Language
from gateway.pages.admin.parts import (
    Action,
    Badge,
    Cell,
    Choice,
    Fact,
    Field,
    Frame,
    NavigationLink,
    Search,
    Section,
    Table,
)
from gateway.pages.admin.render_admin import AdminPageRenderer
from gateway.pages.admin.views import (
    AdminMessageView,
    AdminSignInView,
    AdminView,
    ConfirmView,
    Count,
    DetailView,
    FormView,
    Health,
    ListView,
    OverviewView,
    SecretView,
)
from gateway.pages.branding import PageBranding
from gateway.pages.style import stylesheet
from gateway.pages.views import PageLink, ProviderLink

NAMES = ("Overview", "Clients", "Users", "Grants", "Launches", "Keys", "Decisions", "Configuration")
FRAME = Frame(
    "Olga Operator",
    "Operator",
    "csrf-1",
    "/sign-out",
    tuple(NavigationLink(f"/{name.lower()}", name, name == "Clients") for name in NAMES),
)
DONE = replace(FRAME, notice="The app was disabled.")
BACK = PageLink("/clients", "Clients")
LONG = "Llanfairpwllgwyngyll" * 8
ROWS = (
    (
        Cell("Growth Chart", href="/clients/show?id=growth", badge=Badge("Review", "care")),
        Cell("growth", is_code=True),
        Cell("Public"),
        Cell("12 May 2026"),
    ),
    (
        Cell("محمد عبد الرحمن", "at h.example", "/clients/show?id=2", Badge("Disabled", "bad")),
        Cell("https://symmetric.example/" + "a" * 60, is_code=True),
        Cell("Secret"),
        Cell(""),
    ),
    (Cell(LONG, href="/clients/show?id=3"), Cell("3"), Cell("Key"), Cell("In the configuration")),
)
TABLE = Table(
    "Clients", ("Name", "client_id", "Authenticates by", "Registered"), ROWS, "None.", "/clients?after=3", "/clients"
)
SEARCH = Search("/clients", (Field("search", "Find an app by its name", "search", "gro"),), "Search")
FACTS = (
    Fact("client_id", (Cell("growth", is_code=True),)),
    Fact("Addresses", (Cell("https://app.example/callback", is_code=True), Cell("https://app.example/other", "main"))),
    Fact("State", (Cell("", badge=Badge("Enabled", "good")),)),
    Fact(LONG, (Cell(LONG),)),
)
TYPES = (Choice("public", "Public", "It has no secret."), Choice("secret", "With a secret", "It keeps a secret."))
FIELDS = (
    Field("name", "Name", value="Heartline", help="As users see it.", is_required=True),
    Field("uris", "Addresses", "area", "- -", "One in each line.", "x: must be a URL", is_required=True, is_code=True),
    Field("type", "How it authenticates", "choice", "public", choices=TYPES, is_required=True),
    Field("password", "Password", "password", problem="must be longer", is_required=True),
    Field("ticked", "Without consent page", "tick", "yes", "Only for apps of your own."),
    Field("other", "Other", problem="is unknown"),
)
VIEWS: dict[str, AdminView] = {
    "sign-in": AdminSignInView("/sign-in", "csrf-1"),
    "sign-in refused": AdminSignInView("/sign-in", "csrf-1", "olga", "The name or the password is wrong."),
    "sign-in at a provider too": AdminSignInView(
        "/sign-in", "csrf-1", providers=(ProviderLink("/sign-in/provider", "Hospital"),), notice="You are signed out."
    ),
    "sign-in at a provider alone": AdminSignInView(
        "/sign-in", "csrf-1", providers=(ProviderLink("/sign-in/provider", "Hospital"),), has_password_form=False
    ),
    "overview": OverviewView(
        FRAME,
        (
            Health("FHIR server", Badge("Up", "good"), "R4, answers in 12 ms."),
            Health("Store", Badge("Down", "bad"), "It does not answer."),
            Health("Audit spool", Badge("Degraded", "care"), "81 % full, the oldest event waits for 12 minutes."),
            Health("https://provider.example", Badge("Unknown"), ""),
        ),
        (Count("12", "Clients", "/clients"), Count("3", "Users", "/users"), Count("1 204", "Waiting", "/launches")),
        FACTS,
        (Action("/clients?show=review", "2 apps have registered themselves and wait for review"),),
    ),
    "overview without counts": OverviewView(DONE, (Health("Store", Badge("Up", "good"), ""),), (), FACTS),
    "list": ListView(
        FRAME, "Clients", "The apps that may ask.", TABLE, SEARCH, (Action("/clients/register", "Register", "main"),)
    ),
    "list that is empty": ListView(
        FRAME, "Clients", "The apps.", replace(TABLE, rows=(), next_page="", first_page=""), SEARCH
    ),
    "list that waits for a search": ListView(
        DONE, "Grants", "Name a user, an app or a patient.", None, SEARCH, problem="Name one."
    ),
    "detail": DetailView(
        DONE,
        "Growth Chart",
        FACTS,
        (Badge("Review", "care"), Badge("Enabled", "good")),
        "Plots height.",
        "Nobody here has reviewed it.",
        sections=(
            Section("Access", "What users granted.", table=TABLE, actions=(Action("/end", "End all", "danger"),)),
            Section("Explained", sentences=("The app asked for an Observation.", LONG), facts=FACTS),
            Section("Settings", code="upstream:\n  base_url: http://x\n"),
        ),
        actions=(Action("/clients/disable?id=growth", "Disable", "danger"), Action("/clients/try", "Try a launch")),
        back=BACK,
    ),
    "detail that was not found": DetailView(FRAME, "Decision", (), problem="There is none.", search=SEARCH),
    "form": FormView(
        FRAME,
        "Register an app",
        "/clients/register",
        FIELDS,
        "Register",
        BACK,
        "Fill it in.",
        "Please correct 3 fields.",
        (("id", "1"),),
    ),
    "confirm": ConfirmView(
        FRAME,
        "Disable Growth Chart?",
        "/clients/disable",
        "Yes, disable it",
        BACK,
        ("It gets no tokens any more.", "Access of 12 users ends at once."),
        FACTS,
        (("id", "growth"),),
    ),
    "confirm that ends nothing": ConfirmView(
        FRAME,
        "Enable Growth Chart?",
        "/clients/enable",
        "Enable it",
        BACK,
        ("It may ask again.",),
        fields=FIELDS[:1],
        is_dangerous=False,
        problem="It has changed meanwhile.",
    ),
    "secret": SecretView(
        FRAME,
        "The new secret",
        "s3cr3t-" + "a" * 40,
        "Secret",
        "It is shown only now.",
        FACTS[:1],
        (PageLink("/c", "To the app"),),
    ),
    "message": AdminMessageView("This cannot go on", "The form is an old one.", (BACK,), FRAME, "form_foreign"),
    "message to nobody": AdminMessageView(
        "This cannot go on", "Nobody is signed in.", (PageLink("/sign-in", "Sign in"),)
    ),
}

BRANDING = PageBranding(stylesheet(is_administration=True))
_RENDERER = AdminPageRenderer(BRANDING)


def render(view: AdminView, language: Language = ENGLISH) -> bytes:
    """The page."""
    return _RENDERER.render(view, language)
