"""One value of every page and state, each named by a sentence."""

from dataclasses import replace

from gateway.web.html.views import (
    AppCard,
    Choice,
    ConsentView,
    EncounterView,
    GalleryView,
    GrantRow,
    GrantsView,
    LoginView,
    MessageView,
    Part,
    PatientView,
    Person,
    Provider,
    ScopeRow,
    View,
)

LOGO = "https://logos.example/heart.svg"
PEOPLE = (
    Person("p1", "Amelia Featherstonehaugh", "14 March 1962, female, 4417-0082"),
    Person("p2", "محمد عبد الرحمن", "2 July 1988, male"),
    Person("p3", "Llanfairpwllgwyngyll" * 10, ""),
)
KINDS = (Part("patient/Observation.rs?category=laboratory", "Laboratory results"), Part("o2", "Vital signs"))
TYPES = (Part("patient/AllergyIntolerance.rs", "Allergies"), Part("patient/Observation.rs", "Measurements", KINDS))
ROWS = (
    ScopeRow(0, "Know who has signed in.", "openid", optional=False),
    ScopeRow(1, "Read and search everything in your record.", "patient/*.rs", TYPES),
    ScopeRow(2, "Read results of genetic tests.", "patient/MolecularSequence.rs", sensitive=True),
    ScopeRow(3, "Keep access while nobody is signed in.", "offline_access"),
    ScopeRow(4, "Read who your family is.", "patient/RelatedPerson.rs", sensitive=True, optional=False),
)
# What a person ticked before: a type, a kind of a row that was refused, a sensitive line, a kind within a type.
TICKED = replace(KINDS[0], ticked=True)
ANSWERED = (
    ScopeRow(0, "Read your record.", "patient/*.rs", (replace(TYPES[0], ticked=True), TYPES[1]), use="some"),
    ScopeRow(1, "Read results.", "patient/Observation.rs", (TICKED, KINDS[1]), use="none"),
    ScopeRow(2, "Keep access.", "offline_access", sensitive=True, use="all"),
    ScopeRow(3, "Read more.", "user/*.rs", (TYPES[0], replace(TYPES[1], parts=(TICKED, KINDS[1]))), use="some"),
)
GRANT = GrantRow("g1", "Heartline", "Amelia", "12 May", "13 May", "today", ("Read allergies.", "Read labs."), True)
BARE_GRANT = GrantRow("g2", "Growth Chart", "", "1 June", "", "", (), False)
APPS = (AppCard("a", "Growth Chart", "Plots height.", LOGO, True), AppCard("b", "Ward List", "", "", False))


def consent(
    *,
    app: str = "Heartline",
    purpose: str = "Shows your blood pressure.",
    logo: str = "",
    patient: str = "Amelia",
    rows: tuple[ScopeRow, ...] = ROWS,
    clinician: bool = False,
    stays: str = "",
    problem: str = "",
    remember: bool = False,
) -> ConsentView:
    return ConsentView(
        "/consent",
        "csrf-1",
        app,
        purpose,
        logo,
        "Amelia",
        patient,
        "born 1962",
        rows,
        clinician,
        stays,
        problem,
        remember,
    )


def gallery(people: tuple[Person, ...], chosen: str, name: str, query: str = "", user: str = "Dr Lee") -> GalleryView:
    return GalleryView("/apps?theme=x", "csrf-1", user, "/out", "/manage", query, people, chosen, name, APPS)


MANY_ROWS = tuple(ScopeRow(i, f"Read thing {i}.", f"patient/T{i}.rs", TYPES) for i in range(200))
MANY_PEOPLE = tuple(Person(f"p{i}", f"Person {i}", "born once") for i in range(200))

VIEWS: dict[str, View] = {
    "a sign-in for an app, here or elsewhere": LoginView(
        "/login?tx=1", "csrf-1", "Heartline", providers=(Provider("/kc", "Hospital Login"),), hint="Demo: amy"
    ),
    "a sign-in that failed": LoginView("/login", "csrf-1", username="amy", problem="That is not right."),
    "a sign-in elsewhere alone": LoginView("/login", "csrf-1", "A", providers=(Provider("/kc", "Kc"),), local=False),
    "a picker before a search": PatientView("/patient?tx=1", "csrf-1", "Heartline", "", ()),
    "a picker that found nobody": PatientView("/patient?tx=1", "csrf-1", "Heartline", "zz", ()),
    "a picker that found more": PatientView("/patient?tx=1", "csrf-1", "Heartline", "a", PEOPLE, "Choose one.", True),
    "a picker with two hundred people": PatientView("/patient", "csrf-1", "", "a", MANY_PEOPLE),
    "visits to choose from": EncounterView(
        "/visit", "csrf-1", "Heartline", "Amelia", (Choice("e1", "In May", "ward 4"), Choice("e2", "In June"))
    ),
    "no visit to choose": EncounterView("/visit", "csrf-1", "", "", (), "Please choose."),
    "a consent of a patient": consent(logo=LOGO, stays="It stays until you end it."),
    "a consent for another's record": consent(patient="Little Jo", problem="Please answer.", remember=True),
    "a consent shown again": consent(rows=ANSWERED, problem="Please look again.", remember=True),
    "a consent of a clinician": consent(clinician=True),
    "a consent for a patient who was chosen": replace(consent(clinician=True), another_patient=True),
    "a consent of a clinician without a patient": consent(clinician=True, patient=""),
    "a consent to nothing": consent(rows=(), purpose=""),
    "a consent to statements alone": consent(rows=ROWS[:1]),
    "a consent with two hundred lines": consent(rows=MANY_ROWS),
    "grants": GrantsView("/grants", "csrf-1", "Amelia", "/out", (GRANT, BARE_GRANT), "Ended."),
    "no grants": GrantsView("/grants", "csrf-1", "Amelia", "", ()),
    "apps before a patient is chosen": gallery((), "", ""),
    "apps with people found": gallery(PEOPLE, "", "", "a"),
    "apps with nobody found": gallery((), "", "", "zz"),
    "apps for a chosen patient": gallery(PEOPLE, "p1", "Amelia", "a"),
    "apps for a patient chosen by address": gallery((), "p9", "Jo"),
    "apps of a patient": gallery((), "p1", "Amelia", user="Amelia"),
    "no apps": GalleryView("/apps", "csrf-1", "Dr Lee", "", "", "", (), "", "", (), "Try again."),
    "an error": MessageView("Unknown app", "Nothing was shared.", "unknown_client", "01J", "/apps", "Go on"),
    "a farewell": MessageView("Signed out", "You can close this window."),
}
