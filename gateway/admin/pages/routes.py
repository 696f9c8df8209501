"""The routes of the pages of the admin port."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.admin.administration import Administration
from gateway.admin.door import AdminDoor
from gateway.admin.pages.access import grant_pages, launch_pages
from gateway.admin.pages.access.grant_pages import GrantPages
from gateway.admin.pages.access.launch_pages import LaunchPages
from gateway.admin.pages.clients import client_changes, client_pages, registration_form
from gateway.admin.pages.clients.client_pages import ClientPages
from gateway.admin.pages.clients.registration_form import RegistrationForm
from gateway.admin.pages.guard import SIGN_IN, PageGuard
from gateway.admin.pages.notices import Notices
from gateway.admin.pages.operating import configuration_pages, decision_pages, key_pages
from gateway.admin.pages.operating.configuration_pages import ConfigurationPages
from gateway.admin.pages.operating.decision_pages import DecisionPages
from gateway.admin.pages.operating.key_pages import KeyPages
from gateway.admin.pages.operating.overview_page import OverviewPage
from gateway.admin.pages.page_look import build_page_look
from gateway.admin.pages.refused_visit import RefusedVisit
from gateway.admin.pages.sign_in_pages import AT_PROVIDER, SIGN_OUT, SignInPages
from gateway.admin.pages.users import user_changes, user_pages
from gateway.admin.pages.users.user_form import UserForm
from gateway.admin.pages.users.user_pages import UserPages
from gateway.admin.pages.visit import (
    CLIENTS,
    CONFIGURATION,
    DECISIONS,
    GRANTS,
    KEYS,
    LAUNCHES,
    OVERVIEW,
    USERS,
)
from gateway.smart_server.openid_provider.openid_client import ADMIN_CALLBACK_PATH
from gateway.smart_server.page_language import gettext
from gateway.smart_server.pages import LOGO_PATH


def page_routes(administration: Administration, door: AdminDoor) -> list[BaseRoute]:
    """The routes of all pages. The last one matches every path."""
    smart_server = administration.settings.smart_server
    assert smart_server is not None
    look = build_page_look(smart_server.branding, administration.smart_server.pages)
    guard = PageGuard(door, look, Notices(administration.uses_https))
    sign_in = SignInPages(administration, door, look)
    return [
        guard.open_page(SIGN_IN, sign_in.sign_in, "GET", "POST"),
        guard.open_page(AT_PROVIDER, sign_in.go_to_provider, "GET"),
        guard.open_page(ADMIN_CALLBACK_PATH, sign_in.come_back, "GET"),
        guard.open_page(LOGO_PATH, look.pages.send_logo, "GET"),
        guard.own_form(SIGN_OUT, sign_in.sign_out),
        guard.page(OVERVIEW, OVERVIEW, OverviewPage(administration).show),
        *_client_routes(guard, administration),
        *_user_routes(guard, administration),
        *_access_routes(guard, administration),
        *_operating_routes(guard, administration),
        guard.open_page("/{path:path}", _refuse_unknown, "GET", "POST"),
    ]


def _client_routes(guard: PageGuard, administration: Administration) -> list[Route]:
    pages, form = ClientPages(administration), RegistrationForm(administration)
    return [
        guard.page(CLIENTS, CLIENTS, pages.list),
        guard.page(client_pages.SHOW, CLIENTS, pages.show),
        guard.change(registration_form.REGISTER, CLIENTS, form.ask, form.register),
        *(
            guard.change(change.path, CLIENTS, pages.ask(change), pages.carry_out(change))
            for change in client_changes.CHANGES
        ),
    ]


def _user_routes(guard: PageGuard, administration: Administration) -> list[Route]:
    pages, form = UserPages(administration), UserForm(administration)
    return [
        guard.page(USERS, USERS, pages.list),
        guard.page(user_pages.SHOW, USERS, pages.show),
        guard.change(user_pages.ADD, USERS, form.ask, form.add),
        guard.change(user_pages.END_SESSION, USERS, pages.ask_end_session, pages.end_session),
        *(
            guard.change(change.path, USERS, pages.ask(change), pages.carry_out(change))
            for change in user_changes.CHANGES
        ),
    ]


def _access_routes(guard: PageGuard, administration: Administration) -> list[Route]:
    grants, launches = GrantPages(administration), LaunchPages(administration)
    return [
        guard.page(GRANTS, GRANTS, grants.list),
        guard.page(grant_pages.SHOW, GRANTS, grants.show),
        guard.change(grant_pages.END, GRANTS, grants.ask_end, grants.end),
        guard.change(grant_pages.END_ALL, GRANTS, grants.ask_end_all, grants.end_all),
        guard.page(LAUNCHES, LAUNCHES, launches.list),
        guard.change(launch_pages.TRY, LAUNCHES, launches.ask, launches.start),
    ]


def _operating_routes(guard: PageGuard, administration: Administration) -> list[Route]:
    keys, decisions = KeyPages(administration), DecisionPages(administration)
    configuration = ConfigurationPages(administration)
    return [
        guard.page(KEYS, KEYS, keys.show),
        guard.change(key_pages.ROTATE, KEYS, keys.ask(at_once=False), keys.carry_out(at_once=False)),
        guard.change(key_pages.REPLACE, KEYS, keys.ask(at_once=True), keys.carry_out(at_once=True)),
        guard.page(DECISIONS, DECISIONS, decisions.list),
        guard.page(decision_pages.SHOW, DECISIONS, decisions.show),
        guard.page(CONFIGURATION, CONFIGURATION, configuration.show),
        guard.change(configuration_pages.RELOAD, CONFIGURATION, configuration.ask_reload, configuration.reload),
        guard.change(
            configuration_pages.ROLL_BACK, CONFIGURATION, configuration.ask_roll_back, configuration.roll_back
        ),
    ]


async def _refuse_unknown(_: Request) -> Response:
    raise RefusedVisit("not_found", gettext("There is no page at this address."), status=404)
