"""The first page: how the parts do on which the gateway depends, what there is, and what waits for somebody."""

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.health import PartHealth, PartState
from gateway.admin.pages.clients.client_pages import TO_REVIEW
from gateway.admin.pages.visit import CLIENTS, CONFIGURATION, LAUNCHES, USERS, Visit, address
from gateway.admin.pages.wording import fact, moment
from gateway.languages.language import gettext_noop
from gateway.pages.admin.parts import Action, Badge, Cell, Fact, Tone
from gateway.pages.admin.views import Count, Health, OverviewView
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.clients import ClientSummary
from gateway.smart_server.page_language import gettext

_NAMES = {
    "fhir_server": gettext_noop("FHIR server"),
    "store": gettext_noop("Store"),
    "provider": gettext_noop("OpenID provider"),
    "audit_spool": gettext_noop("Audit events on their way"),
    "audit_sink": gettext_noop("Where audit events go"),
}
_STATES: dict[PartState, tuple[str, Tone]] = {
    PartState.UP: (gettext_noop("Works"), "good"),
    PartState.DEGRADED: (gettext_noop("In trouble"), "care"),
    PartState.DOWN: (gettext_noop("Does not work"), "bad"),
}


class OverviewPage:
    """Shows the overview."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    async def show(self, visit: Visit) -> Response:
        """GET: the page."""
        health = await self._administration.health.check()
        counts, waiting = await self._counts(), await self._waiting()
        view = OverviewView(visit.frame, tuple(map(_describe, health)), counts, self._facts(), waiting)
        return visit.show(view)

    async def _counts(self) -> tuple[Count, ...]:
        dependencies = self._administration.smart_server
        return (
            Count(str(len(await dependencies.clients.list_ids())), gettext("Apps"), CLIENTS),
            Count(str(len(await dependencies.users.list_usernames())), gettext("Local users"), USERS),
            Count(
                str(len(await dependencies.storage.user_states.list_disabled_subjects())),
                gettext("Disabled users"),
                USERS,
            ),
            Count(str(len(await self._administration.launches.list())), gettext("Waiting launches"), LAUNCHES),
        )

    async def _waiting(self) -> tuple[Action, ...]:
        """What somebody should look at: apps without review."""
        page = await self._administration.clients.page(fits=_waits_for_review)
        if not page.records:
            return ()
        count = len(page.records)
        if page.next_after:
            text = gettext("%(count)s apps and more have registered themselves, and wait for a review.", count=count)
        elif count == 1:
            text = gettext("%(name)s has registered itself, and waits for a review.", name=page.records[0].name)
        else:
            text = gettext("%(count)s apps have registered themselves, and wait for a review.", count=count)
        return (Action(address(CLIENTS, only=TO_REVIEW), text),)

    def _facts(self) -> tuple[Fact, ...]:
        settings = self._administration.settings
        try:
            state = self._administration.configuration.state
        except AdminRequestError:
            version: tuple[Fact, ...] = ()
        else:
            cell = Cell(state.version, href=CONFIGURATION, is_code=True)
            version = (
                Fact(gettext("Configuration"), (cell,)),
                *fact(gettext("In force since"), moment(state.since)),
            )
        return (
            *fact(gettext("FHIR base for apps"), settings.public_base_url, is_code=True),
            *fact(gettext("Issuer"), self._administration.smart_server.issuer, is_code=True),
            *fact(gettext("FHIR server"), settings.upstream.base_url, is_code=True),
            *version,
        )


def _waits_for_review(client: ClientSummary) -> bool:
    return client.self_registered and not client.disabled


def _describe(part: PartHealth) -> Health:
    text, tone = _STATES[part.state]
    sentence = " · ".join(word for word in (part.label, part.detail) if word and word != part.name)
    return Health(gettext(_NAMES[part.name]), Badge(gettext(text), tone), sentence)
