"""The pages of access: what users granted to apps, found by user, app or patient, and the end of it."""

from collections.abc import Callable

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.clients import client_pages
from gateway.admin.pages.paging import paged_table
from gateway.admin.pages.refused_visit import changed_meanwhile
from gateway.admin.pages.users import user_pages
from gateway.admin.pages.visit import GRANTS, Visit, address
from gateway.admin.pages.wording import fact, moment
from gateway.pages.admin.parts import Action, Cell, Fact, Field, Search, Table
from gateway.pages.admin.views import ConfirmView, DetailView, ListView
from gateway.pages.views import PageLink
from gateway.scopes.algebra import normalise
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.smart_server.administration.grants import CRITERIA, GrantSummary
from gateway.smart_server.page_language import gettext
from gateway.smart_server.portal.granted_access import shown_scopes

SHOW = f"{GRANTS}/show"
END = f"{GRANTS}/end"
END_ALL = f"{GRANTS}/end-all"
# Bytes of the page for the sentences about what one access permits.
_SENTENCES_BYTES = 90_000


class GrantPages:
    """Shows access, and ends it."""

    def __init__(self, administration: Administration) -> None:
        self._grants = administration.grants

    async def list(self, visit: Visit) -> Response:
        """GET: the access that fits `user`, `provider`, `client` and `patient`; only the search without any of them."""
        criteria = _criteria(visit.query)
        table: Table | None = None
        actions: tuple[Action, ...] = ()
        if criteria:
            page = await self._grants.page(criteria, after=visit.query("after"))
            table = _table(visit, page.records, page.next_after)
            if page.records:
                action = Action(address(END_ALL, **criteria), gettext("End all of this access"), "danger")
                actions = visit.offer(action)
        fields: tuple[Field, ...] = (
            Field("patient", gettext("Patient (id)"), "search", criteria.get("patient", ""), is_code=True),
            Field("user", gettext("User"), "search", criteria.get("user", ""), is_code=True),
            Field("client", gettext("App (client_id)"), "search", criteria.get("client", ""), is_code=True),
        )
        if "provider" in criteria:
            fields = (*fields, Field("provider", gettext("Where they sign in"), "search", criteria["provider"]))
        view = ListView(
            visit.frame,
            gettext("Access"),
            gettext("What users have granted to apps. Name a patient, a user or an app; what you name must all fit."),
            table,
            Search(GRANTS, fields, gettext("Search")),
            actions,
        )
        return visit.show(view)

    async def show(self, visit: Visit) -> Response:
        """GET: one access, with what it permits in sentences."""
        grant = await self._grants.show(visit.query("id"))
        scopes = normalise(parse_granted_scopes(grant.scope))
        sentences, texts = shown_scopes(scopes, _SENTENCES_BYTES)
        view = DetailView(
            visit.frame,
            gettext("Access of %(client)s", client=grant.client),
            (
                *_facts(grant),
                *fact(gettext("What it permits, as users read it"), *sentences),
                *fact(gettext("In the words of SMART"), *texts, is_code=True),
            ),
            actions=visit.offer(Action(address(END, id=grant.id), gettext("End this access"), "danger")),
            back=PageLink(GRANTS, gettext("Access")),
        )
        return visit.show(view)

    async def ask_end(self, visit: Visit) -> Response:
        """GET: asks whether to end one access."""
        grant = await self._grants.show(visit.query("id"))
        view = ConfirmView(
            visit.frame,
            gettext("End this access?"),
            END,
            gettext("Yes, end it"),
            PageLink(address(SHOW, id=grant.id), gettext("No, go back")),
            _effects(),
            _facts(grant),
            (("id", grant.id),),
        )
        return visit.show(view)

    async def end(self, visit: Visit) -> Response:
        """POST: ends one access."""
        grant = await self._grants.show(visit.field("id"))
        await self._grants.end_one(grant.id)
        return visit.done(address(GRANTS, client=grant.client, patient=grant.patient or ""), "grant-ended")

    async def ask_end_all(self, visit: Visit) -> Response:
        """GET: asks whether to end all access that fits."""
        criteria = _criteria(visit.query)
        page = await self._grants.page(criteria)
        if not page.records:
            raise changed_meanwhile()
        view = ConfirmView(
            visit.frame,
            gettext("End all of this access?"),
            END_ALL,
            gettext("Yes, end all of it"),
            PageLink(address(GRANTS, **criteria), gettext("No, go back")),
            (_describe_number(len(page.records), is_all=not page.next_after), *_effects()),
            tuple(_criterion(name, value) for name, value in criteria.items()),
            tuple(criteria.items()),
        )
        return visit.show(view)

    async def end_all(self, visit: Visit) -> Response:
        """POST: ends all access that fits."""
        criteria = _criteria(visit.field)
        return visit.done(address(GRANTS, **criteria), "grants-ended", await self._grants.end(criteria))


def _criteria(read: Callable[[str], str]) -> dict[str, str]:
    """What is named of that by which access is found."""
    named = {name: read(name) for name in CRITERIA}
    return {name: value for name, value in named.items() if value}


def _criterion(name: str, value: str) -> Fact:
    labels = {
        "user": gettext("User"),
        "provider": gettext("Where they sign in"),
        "client": gettext("App (client_id)"),
        "patient": gettext("Patient (id)"),
    }
    return Fact(labels[name], (Cell(value, is_code=True),))


def _describe_number(count: int, *, is_all: bool) -> str:
    if not is_all:
        return gettext("%(count)s grants end, and more: the next pages of the list have the rest.", count=count)
    return gettext("One grant ends.") if count == 1 else gettext("%(count)s grants end.", count=count)


def _effects() -> tuple[str, ...]:
    return (
        gettext("The app loses access at once, with all of its tokens."),
        gettext("What the user agreed to is forgotten: the app has to ask again."),
        gettext("What the app has already copied stays with it."),
    )


def _table(visit: Visit, grants: tuple[GrantSummary, ...], next_after: str) -> Table:
    columns = (gettext("App"), gettext("User"), gettext("Patient"), gettext("Since"))
    rows = tuple(
        (
            Cell(grant.client, href=address(SHOW, id=grant.id), is_code=True),
            _user_cell(grant),
            Cell(grant.patient_name or grant.patient or "", detail=grant.patient or "" if grant.patient_name else ""),
            Cell(moment(grant.granted_at)),
        )
        for grant in grants
    )
    empty = gettext("No app has such access. Check what you named: an id is compared character by character.")
    return paged_table(visit, gettext("Access"), columns, rows, next_after, empty)


def _user_cell(grant: GrantSummary) -> Cell:
    if grant.user is None:
        return Cell(gettext("Nobody: the app works by itself"))
    return Cell(grant.user_name or grant.user, grant.user, address(user_pages.SHOW, user=grant.user))


def _facts(grant: GrantSummary) -> tuple[Fact, ...]:
    app = Cell(grant.client, href=address(client_pages.SHOW, id=grant.client), is_code=True)
    until = gettext("The user signs out") if grant.ends_with_session else ""
    return (
        Fact(gettext("App"), (app,)),
        Fact(gettext("User"), (_user_cell(grant),)),
        *fact(gettext("Where they sign in"), grant.provider or "", is_code=True),
        *fact(gettext("Patient"), grant.patient_name, grant.patient or ""),
        *fact(gettext("Since"), moment(grant.granted_at)),
        *fact(gettext("Until at the latest"), until),
        *fact(gettext("Protected records for"), grant.purpose_of_use),
    )
