"""The pages of users: the list, one user with their sessions, and what operators decide about them."""

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.guard import Handler
from gateway.admin.pages.paging import paged_table
from gateway.admin.pages.refused_visit import changed_meanwhile
from gateway.admin.pages.users.user_changes import CHANGES, UserChange
from gateway.admin.pages.visit import GRANTS, USERS, Visit, address
from gateway.admin.pages.wording import fact, moment
from gateway.pages.admin.parts import Action, Badge, Cell, Choice, Fact, Field, Search, Section, Table
from gateway.pages.admin.views import ConfirmView, DetailView, ListView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.users import UserSummary
from gateway.smart_server.page_language import gettext
from gateway.storage.sessions import SessionFacts

SHOW = f"{USERS}/show"
ADD = f"{USERS}/add"
END_SESSION = f"{USERS}/session"
# A person has some browsers. Whoever has more ends all of them at once.
_MOST_SESSIONS = 50


class UserPages:
    """Shows users, and carries out what operators decide about one."""

    def __init__(self, administration: Administration) -> None:
        self._users = administration.users
        self._sessions = administration.user_sessions
        self._grants = administration.grants
        dependencies = administration.smart_server
        self._elsewhere = (
            *(Choice(provider.issuer, provider.name) for provider in dependencies.providers),
            *(Choice(launcher, launcher) for launcher in dependencies.launchers),
        )

    async def list(self, visit: Visit) -> Response:
        """GET: the local users and all disabled ones, those that fit `search`."""
        search = visit.query("search")
        page = await self._users.page(search=search, after=visit.query("after"))
        table = paged_table(
            visit,
            gettext("Users"),
            (gettext("Name"), gettext("User name"), gettext("Own record"), gettext("Roles"), gettext("From")),
            tuple(map(_row, page.records)),
            page.next_after,
            gettext("No user of this name.") if search else gettext("There is no local user yet. Add the first one."),
        )
        view = ListView(
            visit.frame,
            gettext("Users"),
            gettext("People who sign in here with a password, and all who are disabled."),
            table,
            Search(USERS, (Field("search", gettext("Name or user name"), "search", search),), gettext("Search")),
            visit.offer(Action(ADD, gettext("Add a user"), "main")),
            other_search=self._search_elsewhere(),
            other_title=gettext("Somebody who signs in elsewhere"),
        )
        return visit.show(view)

    def _search_elsewhere(self) -> Search | None:
        """The form for users of providers and launchers, of whom there is no list; None where there are none."""
        if not self._elsewhere:
            return None
        fields = (
            Field("user", gettext("Their name there (sub)"), "search"),
            Field("provider", gettext("Where they sign in"), "select", choices=self._elsewhere),
        )
        return Search(SHOW, fields, gettext("Show"))

    async def show(self, visit: Visit) -> Response:
        """GET: one user, by name, or by the name at a provider."""
        members = _members(visit.query("user"), visit.query("provider"))
        user, sessions = await self._find(members)
        changes = tuple(
            Action(address(change.path, **members), gettext(change.link), change.kind)
            for change in CHANGES
            if self._may(change, user, members)
        )
        view = DetailView(
            visit.frame,
            user.name,
            _facts(user, members),
            _badges(user),
            sections=(
                _session_section(visit, sessions, members),
                Section(
                    gettext("Access"),
                    gettext("What they have granted to apps, and the end of it."),
                    actions=(Action(address(GRANTS, **members), gettext("Show their access")),),
                ),
                *((Section(gettext("Changes"), _describe_limits(user), actions=changes),) if visit.is_operator else ()),
            ),
            back=PageLink(USERS, gettext("Users")),
        )
        return visit.show(view)

    def ask(self, change: UserChange) -> Handler:
        """The page that asks whether to carry out the change."""

        async def ask(visit: Visit) -> Response:
            members = _members(visit.query("user"), visit.query("provider"))
            user, _ = await self._find(members)
            if not self._may(change, user, members):
                raise changed_meanwhile()
            return visit.show(_confirm(visit, change, user, members))

        return ask

    def carry_out(self, change: UserChange) -> Handler:
        """Carries the change out, and says so on the page of the user or of all users."""

        async def carry_out(visit: Visit) -> Response:
            members = _members(visit.field("user"), visit.field("provider"))
            user, _ = await self._find(members)
            if not self._may(change, user, members):
                raise changed_meanwhile()
            password = visit.field("password")
            if change.asks_for_password and not password:
                return visit.show(_confirm(visit, change, user, members, "must not be empty"), 400)
            await change.carry_out(self._users, {**members, "password": password} if password else members)
            # Of whom nothing is known but what has ended, there is no page any more.
            stays = change.leaves_them and (user.origin != "provider" or "provider" in members)
            return visit.done(address(SHOW, **members) if stays else USERS, change.notice)

        return carry_out

    async def ask_end_session(self, visit: Visit) -> Response:
        """GET: asks whether to end one session."""
        members = _members(visit.query("user"), visit.query("provider"))
        user, sessions = await self._find(members)
        session = next((one for one in sessions if one.session_id == visit.query("session")), None)
        if session is None:
            raise changed_meanwhile()
        view = ConfirmView(
            visit.frame,
            gettext("End a session of %(name)s?", name=user.name),
            END_SESSION,
            gettext("Yes, end it"),
            PageLink(address(SHOW, **members), gettext("No, go back")),
            (
                gettext("They have to sign in again in this browser."),
                gettext("Access of apps that lasts as long as the session ends with it."),
            ),
            fact(gettext("Signed in"), moment(session.signed_in_at)),
            (("session", session.session_id), *members.items()),
        )
        return visit.show(view)

    async def end_session(self, visit: Visit) -> Response:
        """POST: ends one session."""
        await self._sessions.end(visit.field("session"))
        return visit.done(address(SHOW, **_members(visit.field("user"), visit.field("provider"))), "session-ended")

    async def _find(self, members: dict[str, str]) -> tuple[UserSummary, tuple[SessionFacts, ...]]:
        """The user and their sessions. Raises `AdminRequestError` for somebody of whom nothing is known.

        Lists show users of a provider by their subject alone. What they have here tells their name.
        """
        sessions = await self._sessions.list(members)
        try:
            return await self._users.show(members), sessions
        except AdminRequestError as error:
            granted = await self._grants.page(members, limit=1)
            names = [session.name for session in sessions] + [grant.user_name for grant in granted.records]
            if error.status != 404 or not names:
                raise
        name = names[0] or members["user"]
        return UserSummary(members["user"], name, None, (), disabled=False, origin="provider"), sessions

    def _may(self, change: UserChange, user: UserSummary, members: dict[str, str]) -> bool:
        """Whether the change is possible. By the subject alone, users of a provider are not disabled: see `_find`."""
        is_known = user.origin != "provider" or "provider" in members or user.disabled
        return change.fits(user) and (is_known or change.name == "end")


def _members(user: str, provider: str) -> dict[str, str]:
    """What names the user, as the services read it."""
    return {"user": user, "provider": provider} if provider else {"user": user}


def _confirm(
    visit: Visit, change: UserChange, user: UserSummary, members: dict[str, str], problem: str = ""
) -> ConfirmView:
    password = Field("password", gettext("New password"), "password", problem=problem, is_required=True)
    return ConfirmView(
        visit.frame,
        gettext(change.title, name=user.name),
        change.path,
        gettext(change.button),
        PageLink(address(SHOW, **members), gettext("No, go back")),
        tuple(map(gettext, change.effects)),
        _facts(user, members),
        tuple(members.items()),
        (password,) if change.asks_for_password else (),
        is_dangerous=change.kind != "main",
    )


def _row(user: UserSummary) -> tuple[Cell, ...]:
    badge = Badge(gettext("Disabled"), "bad") if user.disabled else None
    return (
        Cell(user.name or user.user, href=address(SHOW, user=user.user), badge=badge),
        Cell(user.user, is_code=True),
        Cell(user.fhir_user or "", is_code=True),
        Cell(", ".join(user.roles)),
        Cell(_describe_origin(user)),
    )


def _facts(user: UserSummary, members: dict[str, str]) -> tuple[Fact, ...]:
    return (
        *fact(gettext("User name"), members["user"], is_code=True),
        *fact(gettext("Where they sign in"), members.get("provider", ""), is_code=True),
        *fact(gettext("Own record"), user.fhir_user or "", is_code=True),
        *fact(gettext("Roles"), *user.roles),
        *fact(gettext("From"), _describe_origin(user)),
    )


def _badges(user: UserSummary) -> tuple[Badge, ...]:
    return (Badge(gettext("Disabled"), "bad"),) if user.disabled else ()


def _describe_origin(user: UserSummary) -> str:
    match user.origin:
        case "configuration":
            return gettext("In the configuration")
        case "registration":
            return gettext("Added here")
        case _:
            return gettext("Signs in elsewhere")


def _describe_limits(user: UserSummary) -> str:
    """Why something is not offered."""
    if user.origin == "configuration":
        return gettext("This user is in the configuration. The password and the entry are changed there.")
    if user.origin == "provider":
        return gettext(
            "Somebody who signs in elsewhere is disabled by their name there: find them on the page of users."
        )
    return ""


def _session_section(visit: Visit, sessions: tuple[SessionFacts, ...], members: dict[str, str]) -> Section:
    def end_cell(session: SessionFacts) -> tuple[Cell, ...]:
        href = address(END_SESSION, session=session.session_id, **members)
        return (Cell(gettext("End this session"), href=href),) if visit.is_operator else ()

    last_column = (gettext("End"),) if visit.is_operator else ()
    columns = (gettext("Signed in"), gettext("Ends at the latest"), *last_column)
    rows = tuple(
        (Cell(moment(one.signed_in_at)), Cell(moment(one.ends_at)), *end_cell(one)) for one in sessions[:_MOST_SESSIONS]
    )
    note = gettext("Browsers in which they are signed in.")
    if len(sessions) > _MOST_SESSIONS:
        note = gettext("The latest %(count)s of %(all)s sessions.", count=_MOST_SESSIONS, all=len(sessions))
    table = Table(gettext("Sessions"), columns, rows, gettext("They are not signed in anywhere."))
    return Section(gettext("Sessions"), note, table=table)
