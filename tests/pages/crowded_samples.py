"""Pages that are hard to lay out: German, names without a space, names from right to left, thirty scopes, branding."""

from dataclasses import replace

from gateway.languages.language import ENGLISH, Language, load_language
from gateway.pages.branding import PageBranding
from gateway.pages.granted_access_view import GrantedAccessGroup, GrantedAccessView
from gateway.pages.style import stylesheet
from gateway.pages.views import (
    AppGalleryView,
    EncounterView,
    LoginView,
    MessageView,
    PatientChoice,
    PatientView,
    ProviderLink,
    ScopeRow,
    View,
)
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.labels import TYPE_LABELS
from gateway.scopes.parse_scopes import parse_scope
from tests.languages.pseudo_language import PSEUDO
from tests.pages.samples import APPS, GRANT, KINDS, PATIENTS, VISITS, consent

GERMAN = load_language("de")
LONG_APP = "Kardiovaskuläres Risikomanagement und Verlaufsdokumentationssystem Plus für Niedergelassene"
UNBROKEN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ARABIC = "عبد الرحمن محمد الأمين بن عبد الله الحسني"
SCOPES = (
    *(f"patient/{name}.rs" for name in TYPE_LABELS),
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory&date=ge2024-01-01",
    "patient/Observation.r?code=http://loinc.org|4548-4,http://snomed.info/sct|73211009&status=final",
    "user/*.cruds",
    "offline_access",
    "patient/Condition.r?recorded-date=gt2024-01-01T10:00:00%2B01:00",
)
LOGO_PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 90 30'%3E"
    "%3Cpath fill='%23888' d='M0 0h90v30H0z'/%3E%3C/svg%3E"
)
BRANDED = PageBranding(
    stylesheet("#8b1a4a", "#f0a8c6"),
    name="Universitätsklinikum Musterstadt-Süd, Anstalt des öffentlichen Rechts",
    logo=LOGO_PICTURE,
    support_url="https://help.example/",
    support_text="Servicezentrum Patientenportal, montags bis freitags von 8 bis 18 Uhr: 0123 456789",
    privacy_url="https://privacy.example/",
)


def thirty_rows(language: Language) -> tuple[ScopeRow, ...]:
    return tuple(
        ScopeRow(index, describe_scope(parse_scope(text), language), text, KINDS if index == 1 else (), index > 26)
        for index, text in enumerate(SCOPES)
    )


def crowded(language: Language, app: str, person: str) -> dict[str, View]:
    """One view for each template."""
    people = (*PATIENTS, PatientChoice("p4", person, "geboren 14.03.1962, weiblich, Nr. 4417-0082-998877665544332211"))
    apps = (*APPS, replace(APPS[0], name=app, purpose=f"{app}. " * 3))
    providers = (ProviderLink("/kc", f"{person} {app}"),)
    grant = replace(GRANT, until="14.03.2027, 12:30 Uhr (UTC), und länger", sentences=(f"{app}. " * 3, app))
    groups = (GrantedAccessGroup(app, person, (grant, GRANT), f"{app}. " * 3), GrantedAccessGroup(app, "", (grant,)))
    link = "https://heart.example/"
    return {
        "login": LoginView("/l", "c", app, person, "Bitte prüfen. " * 8, providers, hint=app, warning=f"{app}. " * 3),
        "patient": PatientView("/p", "c", app, person, people, app, True, person, "/switch", app),
        "encounter": EncounterView("/e", "c", app, person, VISITS, "", person, "/switch", app),
        "consent": replace(
            consent(
                app=app, purpose=f"{app}. " * 3, patient=person, rows=thirty_rows(language), warning=app, policy=link
            ),
            another_patient=True,
        ),
        "consent-of-clinician": consent(app=app, patient=person, rows=thirty_rows(language), clinician=True),
        "grants": GrantedAccessView("/g", "c", person, "/out", groups, f"{app}.", "/apps"),
        "gallery": AppGalleryView("/a", "c", person, "/out", "/manage", person, people, "p4", person, apps, app, True),
        "message": MessageView(app, f"{app}. " * 3, "a_reason_that_is_long_enough_to_break", "01J" * 12),
    }


CROWDED: dict[str, tuple[View, Language, PageBranding | None]] = {
    **{f"german {name}": (view, GERMAN, BRANDED) for name, view in crowded(GERMAN, LONG_APP, UNBROKEN).items()},
    **{f"arabic name {name}": (view, ENGLISH, None) for name, view in crowded(ENGLISH, UNBROKEN, ARABIC).items()},
    **{f"from the right {name}": (view, PSEUDO, BRANDED) for name, view in crowded(PSEUDO, ARABIC, ARABIC).items()},
}
