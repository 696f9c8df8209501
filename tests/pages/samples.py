"""Sample views for every page and state, each with a descriptive name."""

from dataclasses import replace

from gateway.pages.granted_access_view import GrantedAccessGroup, GrantedAccessRow, GrantedAccessView
from gateway.pages.views import (
    AppCard,
    AppGalleryView,
    ConsentApp,
    ConsentOffer,
    ConsentPatient,
    ConsentSubject,
    ConsentUser,
    ConsentView,
    EncounterChoice,
    EncounterView,
    LoginView,
    MessageView,
    PageLink,
    PatientChoice,
    PatientView,
    ProviderLink,
    PurposeChoice,
    ScopePart,
    ScopeRow,
    View,
)

START = PageLink("/auth/", "Start page")
LOGO = "https://logos.example/heart.svg"
POLICY = "https://heart.example/privacy"
WARNING = "Nobody here has reviewed it."
PATIENTS = (
    PatientChoice("p1", "Amelia Featherstonehaugh", "14 March 1962, female, 4417-0082"),
    PatientChoice("p2", "محمد عبد الرحمن", "2 July 1988, male"),
    PatientChoice("p3", "Llanfairpwllgwyngyll" * 10, ""),
)
KINDS = (ScopePart("patient/Observation.rs?category=laboratory", "Laboratory results"), ScopePart("o2", "Vital signs"))
TYPES = (
    ScopePart("patient/AllergyIntolerance.rs", "Allergies"),
    ScopePart("patient/Observation.rs", "Measurements", KINDS),
)
ROWS = (
    ScopeRow(0, "Know who has signed in.", "openid", optional=False),
    ScopeRow(1, "Read and search everything in your record.", "patient/*.rs", TYPES),
    ScopeRow(2, "Read results of genetic tests.", "patient/MolecularSequence.rs", sensitive=True),
    ScopeRow(3, "Keep access while nobody is signed in.", "offline_access"),
    ScopeRow(4, "Read who your family is.", "patient/RelatedPerson.rs", sensitive=True, optional=False),
)
MEMBERS = (
    ScopePart("0", "Read results whose code is a."),
    ScopePart("1", "Read results whose code is b.", ticked=True),
)
GROUPED = (
    ScopeRow(0, "Know who has signed in.", "openid", optional=False),
    ScopeRow(1, "Read records that any of the 2 lines below describes.", "a b", MEMBERS, is_group=True),
    ScopeRow(
        2, "Change records that any of the 2 lines below describes.", "c d", MEMBERS, True, use="some", is_group=True
    ),
)
VISITS = (EncounterChoice("e1", "In May", "ward 4"), EncounterChoice("e2", "In June"))
# What a person ticked before: a type, a category of a refused row, a sensitive row, a category within a type.
TICKED = replace(KINDS[0], ticked=True)
ANSWERED = (
    ScopeRow(0, "Read your record.", "patient/*.rs", (replace(TYPES[0], ticked=True), TYPES[1]), use="some"),
    ScopeRow(1, "Read results.", "patient/Observation.rs", (TICKED, KINDS[1]), use="none"),
    ScopeRow(2, "Keep access.", "offline_access", sensitive=True, use="all"),
    ScopeRow(3, "Read more.", "user/*.rs", (TYPES[0], replace(TYPES[1], parts=(TICKED, KINDS[1]))), use="some"),
)
GRANT = GrantedAccessRow(
    "g1", "12 May", "13 May", "today", ("Read allergies.", "Read labs."), ("a",), "Emergency treatment"
)
BARE_GRANT = GrantedAccessRow("g2", "1 June", "", "", ())
GROUPS = (
    GrantedAccessGroup("Heartline", "Amelia", (GRANT, BARE_GRANT), WARNING),
    GrantedAccessGroup("Growth Chart", "", (replace(BARE_GRANT, grant_id="g3"),)),
)
APPS = (AppCard("a", "Growth Chart", "Plots height.", LOGO, True), AppCard("b", "Ward List", "", "", False))


def consent(
    *,
    app: str = "Heartline",
    purpose: str = "Shows your blood pressure.",
    logo: str = "",
    patient: str = "Amelia",
    rows: tuple[ScopeRow, ...] = ROWS,
    clinician: bool = False,
    warning: str = "",
    policy: str = "",
    switch_user: str = "/switch",
    problem: str = "",
    remember: bool = False,
    is_own: bool = False,
) -> ConsentView:
    subject = ConsentSubject(
        ConsentUser("Amelia", is_clinician=clinician),
        ConsentPatient(patient, "born 1962", is_user=is_own),
        ConsentApp(app, purpose, logo, "heart.example", warning, policy, policy),
        ConsentOffer(rows),
    )
    return ConsentView(subject, "/consent", "csrf-1", problem, remember, switch_user=switch_user)


PURPOSES = (PurposeChoice("ETREAT", "Emergency treatment"), PurposeChoice("https://h|x", "Teaching"))


def consent_with_purposes(purpose: str = "", problem: str = "") -> ConsentView:
    view = replace(consent(clinician=True, problem=problem), purpose=purpose)
    offer = replace(view.subject.offer, purposes=PURPOSES, may_keep_state=True)
    return replace(view, subject=replace(view.subject, offer=offer))


def gallery(
    patients: tuple[PatientChoice, ...], chosen: str, name: str, query: str = "", user: str = "Dr Lee"
) -> AppGalleryView:
    return AppGalleryView("/apps?theme=x", "csrf-1", user, "/out", "/manage", query, patients, chosen, name, APPS)


MANY_ROWS = tuple(ScopeRow(i, f"Read thing {i}.", f"patient/T{i}.rs", TYPES) for i in range(200))
MANY_PATIENTS = tuple(PatientChoice(f"p{i}", f"Person {i}", "born once") for i in range(200))

VIEWS: dict[str, View] = {
    "a sign-in for an app, here or elsewhere": LoginView(
        "/login?tx=1", "csrf-1", "Heartline", providers=(ProviderLink("/kc", "Hospital Login"),), hint="Demo: amy"
    ),
    "a sign-in of somebody who has signed in": LoginView("/login", "csrf-1", user_name="Amy", next_page="/apps"),
    "a sign-in that failed": LoginView("/login", "csrf-1", username="amy", problem="That is not right."),
    "a sign-in elsewhere alone": LoginView(
        "/login", "csrf-1", "A", providers=(ProviderLink("/kc", "Kc"),), has_password_form=False
    ),
    "a picker before a search": PatientView("/patient?tx=1", "csrf-1", "Heartline", "", ()),
    "a picker that found nobody": PatientView("/patient?tx=1", "csrf-1", "Heartline", "zz", ()),
    "a picker that found more": PatientView("/patient?tx=1", "csrf-1", "Heartline", "a", PATIENTS, "Choose one.", True),
    "a picker with two hundred people": PatientView("/patient", "csrf-1", "", "a", MANY_PATIENTS),
    "visits to choose from": EncounterView(
        "/visit",
        "csrf-1",
        "Heartline",
        "Amelia",
        VISITS,
    ),
    "no visit to choose": EncounterView("/visit", "csrf-1", "", "", (), "Please choose."),
    "a consent of a patient": consent(logo=LOGO, policy=POLICY),
    "a consent for an app that registered itself": consent(warning=WARNING),
    "a consent in a launch that names the user": consent(switch_user=""),
    "a sign-in for an app that registered itself": LoginView("/login", "csrf-1", "Heartline", warning=WARNING),
    "a picker with its user": PatientView(
        "/patient", "csrf-1", "H", "", PATIENTS, user_name="Dr Lee", switch_user="/switch", warning=WARNING
    ),
    "visits with their user": EncounterView(
        "/visit", "csrf-1", "H", "A", VISITS, user_name="Dr Lee", switch_user="/switch", warning=WARNING
    ),
    "a consent for another's record": consent(patient="Little Jo", problem="Please answer.", remember=True),
    "a consent shown again": consent(rows=ANSWERED, problem="Please look again.", remember=True),
    "a consent of a clinician": consent(clinician=True),
    "a consent for a patient who was chosen": replace(consent(clinician=True), another_patient=True),
    "a consent of a clinician without a patient": consent(clinician=True, patient=""),
    "a consent that asks for a purpose": consent_with_purposes(),
    "a consent for a purpose, shown again": consent_with_purposes("https://h|x", "Please look again."),
    "a consent to nothing": consent(rows=(), purpose=""),
    "a consent to statements alone": consent(rows=ROWS[:1]),
    "a consent to lines that are put together": consent(rows=GROUPED),
    "a consent with two hundred lines": consent(rows=MANY_ROWS),
    "grants": GrantedAccessView("/grants", "csrf-1", "Amelia", "/out", GROUPS, "Ended."),
    "no grants": GrantedAccessView("/grants", "csrf-1", "Amelia", "", ()),
    "apps before a patient is chosen": gallery((), "", ""),
    "apps with people found": gallery(PATIENTS, "", "", "a"),
    "apps with more people found": replace(gallery(PATIENTS, "", "", "a"), has_more=True),
    "apps with nobody found": gallery((), "", "", "zz"),
    "apps for a chosen patient": gallery(PATIENTS, "p1", "Amelia", "a"),
    "apps for a patient chosen by address": gallery((), "p9", "Jo"),
    "apps of a patient": gallery((), "p1", "Amelia", user="Amelia"),
    "no apps": AppGalleryView("/apps", "csrf-1", "Dr Lee", "", "", "", (), "", "", (), "Try again."),
    "an error": MessageView(
        "Unknown app", "No such app.", "unknown_client", "01J", (PageLink("/apps", "Go on"), START), advice="Tell us."
    ),
    "a request that was answered": MessageView(
        "The app has been connected", "You can close this page.", links=(START,), app_name="Heartline"
    ),
    "the start page": MessageView("Apps", "Here you decide.", links=(PageLink("/apps", "Start"), START), step="Start"),
    "a farewell": MessageView("Signed out", "You can close this window."),
}
