"""The pages of apps: the list, one app, and what operators decide about it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.clients.client_changes import CHANGES, ClientChange
from gateway.admin.pages.paging import paged_table
from gateway.admin.pages.refused_visit import changed_meanwhile
from gateway.admin.pages.visit import CLIENTS, GRANTS, LAUNCHES, Visit, address
from gateway.admin.pages.wording import client_badges, describe_method, fact, moment
from gateway.pages.admin.parts import Action, Cell, Choice, Fact, Field, Search, Section
from gateway.pages.admin.views import ConfirmView, DetailView, ListView, SecretView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.clients import ClientDetails, ClientSummary
from gateway.smart_server.page_language import gettext

SHOW = f"{CLIENTS}/show"
TO_REVIEW = "review"
_FILTERS: dict[str, Callable[[ClientSummary], bool]] = {
    "": lambda _: True,
    TO_REVIEW: lambda client: client.self_registered,
    "disabled": lambda client: client.disabled,
}
# The members of an entry that the page of an app shows. None of them is secret.
_SHOWN = {
    "redirect_uris", "launch_uris", "scopes", "grant_types", "jwks", "jwks_uri", "logo", "policy", "terms", "purpose",
}  # fmt: skip
_PAGES = ("logo", "policy", "terms")


class ClientPages:
    """Shows apps, and carries out what operators decide about one."""

    def __init__(self, administration: Administration) -> None:
        self._clients = administration.clients
        smart_server = administration.settings.smart_server
        assert smart_server is not None
        self._configured = {entry.client_id: entry for entry in smart_server.clients}
        self._registrations = administration.smart_server.storage.registrations

    async def list(self, visit: Visit) -> Response:
        """GET: the apps, those that fit `search` and `only`."""
        search, only = visit.query("search"), visit.query("only")
        only = only if only in _FILTERS else ""
        page = await self._clients.page(search=search, fits=_FILTERS[only], after=visit.query("after"))
        table = paged_table(
            visit,
            gettext("Apps"),
            (gettext("Name"), gettext("client_id"), gettext("How it authenticates"), gettext("Registered")),
            tuple(map(_row, page.records)),
            page.next_after,
            _describe_empty_list(is_search=bool(search or only), is_last=not page.next_after),
        )
        choices = (
            Choice("", gettext("All")),
            Choice(TO_REVIEW, gettext("To review")),
            Choice("disabled", gettext("Disabled")),
        )
        fields = (
            Field("search", gettext("Name or client_id"), "search", search),
            Field("only", gettext("Show"), "select", only, choices=choices),
        )
        view = ListView(
            visit.frame,
            gettext("Apps"),
            gettext("Apps that may ask users for access, from the configuration and registered here."),
            table,
            Search(CLIENTS, fields, gettext("Search")),
            visit.offer(Action(f"{CLIENTS}/register", gettext("Register an app"), "main")),
        )
        return visit.show(view)

    async def show(self, visit: Visit) -> Response:
        """GET: one app."""
        details = self._with_entry(await self._clients.show(visit.query("id")))
        client = details.summary
        warning = ""
        if client.self_registered:
            warning = gettext(
                "This app has registered itself, and nobody here has reviewed it. Its name, purpose and addresses are "
                "its own words. Users are warned of it until an operator approves it."
            )
        access = Section(
            gettext("Access"),
            gettext("What users have granted to this app, and the end of it."),
            actions=(Action(address(GRANTS, client=client.client_id), gettext("Show its access")),),
        )
        view = DetailView(
            visit.frame,
            client.name,
            _facts(details),
            client_badges(client),
            warning=warning,
            sections=(access, *_change_sections(visit, details)),
            actions=visit.offer(*_first_actions(details)),
            back=PageLink(CLIENTS, gettext("Apps")),
        )
        return visit.show(view)

    def _with_entry(self, details: ClientDetails) -> ClientDetails:
        """The details with the entry, also for an app of the configuration."""
        configured = self._configured.get(details.summary.client_id)
        return details if configured is None else replace(details, entry=configured.model_dump(include=_SHOWN))

    def ask(self, change: ClientChange) -> Callable[[Visit], Any]:
        """The page that asks whether to carry out the change."""

        async def ask(visit: Visit) -> Response:
            # Read first: what is shown is as new as that, or newer.
            state = await self._state(visit.query("id"))
            details = await self._clients.show(visit.query("id"))
            client = details.summary
            if client.is_configured or not change.fits(details):
                raise changed_meanwhile()
            view = ConfirmView(
                visit.frame,
                gettext(change.title, name=client.name),
                change.path,
                gettext(change.button),
                PageLink(address(SHOW, id=client.client_id), gettext("No, go back")),
                tuple(map(gettext, change.effects)),
                _facts(details),
                (("id", client.client_id), ("state", state)),
                is_dangerous=change.kind == "danger",
            )
            return visit.show(view)

        return ask

    def carry_out(self, change: ClientChange) -> Callable[[Visit], Any]:
        """Carries the change out, and says so on the page of the app or of all apps."""

        async def carry_out(visit: Visit) -> Response:
            client_id = visit.field("id")
            details = await self._clients.show(client_id)
            if not change.fits(details) or visit.field("state") != await self._state(client_id):
                raise changed_meanwhile()
            secret = await change.carry_out(self._clients, client_id)
            if secret is not None:
                return show_secret(visit, details.summary.client_id, details.summary.name, secret)
            location = address(SHOW, id=client_id) if change.leaves_it else CLIENTS
            return visit.done(location, change.notice)

        return carry_out

    async def _state(self, client_id: str) -> str:
        """What changes with every change of the app: what an operator decides is about the app that the page showed.

        It also makes that a form that is sent twice, such as by reloading the page of a secret, counts once.
        """
        entry = await self._registrations.get_client(client_id)
        return hashlib.sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def show_secret(visit: Visit, client_id: str, name: str, secret: str) -> Response:
    """The page that shows a new secret once."""
    view = SecretView(
        visit.frame,
        gettext("The new secret of %(name)s", name=name),
        secret,
        gettext("Secret"),
        gettext("It is shown only now, and kept nowhere: copy it to the app before you leave this page."),
        fact(gettext("client_id"), client_id, is_code=True),
        (PageLink(address(SHOW, id=client_id), gettext("I have copied it: go to the app")),),
    )
    return visit.show(view)


def _row(client: ClientSummary) -> tuple[Cell, ...]:
    badge = next(iter(client_badges(client)), None)
    registered = gettext("In the configuration") if client.is_configured else moment(client.registered_at)
    return (
        Cell(client.name, href=address(SHOW, id=client.client_id), badge=badge),
        Cell(client.client_id, is_code=True),
        Cell(describe_method(client.authentication)),
        Cell(registered),
    )


def _describe_empty_list(*, is_search: bool, is_last: bool) -> str:
    if not is_last:
        return gettext("Nothing fits among the apps looked at so far. The next page looks at more.")
    if is_search:
        return gettext("No app fits. Search for a part of its name or of its client_id.")
    return gettext("There is no app yet. Register the first one here, or add it to the configuration.")


def _facts(details: ClientDetails) -> tuple[Fact, ...]:
    """What somebody who reviews an app looks at first: who it is, where it is, and what it may be granted."""
    client, entry = details.summary, details.entry
    if client.is_configured:
        registered = gettext("In the configuration")
    elif client.self_registered:
        registered = gettext("By itself, %(time)s", time=moment(client.registered_at))
    else:
        registered = moment(client.registered_at)
    return (
        *fact(gettext("client_id"), client.client_id, is_code=True),
        *fact(gettext("Purpose"), *_texts(entry, "purpose")),
        *fact(gettext("How it authenticates"), describe_method(client.authentication)),
        *fact(gettext("Registered"), registered),
        *fact(gettext("Redirect addresses"), *_texts(entry, "redirect_uris"), is_code=True),
        *fact(gettext("Launch addresses"), *_texts(entry, "launch_uris"), is_code=True),
        *fact(gettext("The most it may be granted"), *_texts(entry, "scopes"), is_code=True),
        *fact(gettext("Grant types"), *_texts(entry, "grant_types"), is_code=True),
        *fact(gettext("Keys"), *_texts(entry, "jwks_uri"), *_key_ids(entry), is_code=True),
        *fact(gettext("Web pages"), *(text for name in _PAGES for text in _texts(entry, name)), is_code=True),
    )


def _texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a member, which is one text or a list of them."""
    value = entry.get(name)
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _key_ids(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the keys that are in the entry itself."""
    keys = (entry.get("jwks") or {}).get("keys", ())
    return tuple(f"kid {key.get('kid', '')}" for key in keys)


def _first_actions(details: ClientDetails) -> tuple[Action, ...]:
    """What comes next with this app: a review, or a try."""
    client = details.summary
    review = tuple(_link(change, client) for change in CHANGES if change.is_review and change.fits(details))
    if client.disabled or not details.entry.get("launch_uris"):
        return review
    return (*review, Action(address(f"{LAUNCHES}/try", id=client.client_id), gettext("Try a launch")))


def _change_sections(visit: Visit, details: ClientDetails) -> tuple[Section, ...]:
    """What operators may change; of an app of the configuration, that it is changed there."""
    client = details.summary
    if client.is_configured:
        note = gettext("This app is in the configuration, and is changed there.")
        return (Section(gettext("Changes"), note),)
    links = tuple(_link(change, client) for change in CHANGES if not change.is_review and change.fits(details))
    return (Section(gettext("Changes"), actions=links),) if visit.is_operator else ()


def _link(change: ClientChange, client: ClientSummary) -> Action:
    return Action(address(change.path, id=client.client_id), gettext(change.link), change.kind)
