"""The pages of launches: those that wait for their app, and one to try an app with."""

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.launches import OpenLaunch
from gateway.admin.pages.clients import client_pages
from gateway.admin.pages.form_problems import FormProblems, assign_problems
from gateway.admin.pages.paging import paged_table
from gateway.admin.pages.users import user_pages
from gateway.admin.pages.visit import CLIENTS, LAUNCHES, Visit, address
from gateway.admin.pages.wording import fact, moment
from gateway.pages.admin.parts import Action, Cell, Choice, Field
from gateway.pages.admin.views import DetailView, FormView, ListView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.administration.record_pages import PAGE_SIZE
from gateway.smart_server.page_language import gettext

TRY = f"{LAUNCHES}/try"
# Of digits, in the address of a page of the list.
_LONGEST_NUMBER = 6


class LaunchPages:
    """Shows launches, and starts one to try an app."""

    def __init__(self, administration: Administration) -> None:
        self._launches = administration.launches
        self._clients = administration.smart_server.clients

    async def list(self, visit: Visit) -> Response:
        """GET: the launches that wait for their app, the latest first."""
        after = visit.query("after")
        start = int(after) if after.isdecimal() and len(after) <= _LONGEST_NUMBER else 0
        launches = await self._launches.list()
        shown = launches[start : start + PAGE_SIZE]
        end = start + len(shown)
        table = paged_table(
            visit,
            gettext("Launches"),
            (gettext("App"), gettext("Started by"), gettext("Patient"), gettext("User"), gettext("Waits")),
            tuple(map(_row, shown)),
            str(end) if end < len(launches) else "",
            gettext("No launch waits for its app. To try an app, go to its page and start one there."),
        )
        view = ListView(
            visit.frame,
            gettext("Launches"),
            gettext("Apps that a health record system has opened, and that have not asked for access yet."),
            table,
            actions=(Action(CLIENTS, gettext("Apps")),),
        )
        return visit.show(view)

    async def ask(self, visit: Visit) -> Response:
        """GET: asks for the patient and the launch address."""
        client_id = visit.query("id")
        return await self._form(visit, {"id": client_id}, FormProblems(), 200)

    async def start(self, visit: Visit) -> Response:
        """POST: starts a launch, and shows the link that opens the app."""
        values = {name: visit.field(name).strip() for name in ("id", "patient", "encounter", "launch_uri")}
        context = {name: values[name] for name in ("patient", "encounter") if values[name]}
        try:
            launch = await self._launches.start(values["id"], context, values["launch_uri"] or None)
        except AdminRequestError as error:
            if error.status == 404:
                raise
            problems = assign_problems(error.problems, ("patient", "encounter", "launch_uri"))
            return await self._form(visit, values, problems, error.status)
        view = DetailView(
            visit.frame,
            gettext("The launch is ready"),
            (
                *fact(gettext("App"), values["id"], is_code=True),
                *fact(gettext("Patient"), values["patient"], is_code=True),
                *fact(gettext("Launch address"), launch.launch_uri, is_code=True),
            ),
            lead=gettext(
                "Open the app now: you sign in there as a user, and are asked for access. The launch is good for one "
                "use and some minutes."
            ),
            actions=(Action(launch.location, gettext("Open the app"), "main", is_outside=True),),
            back=PageLink(address(client_pages.SHOW, id=values["id"]), gettext("Back to the app")),
        )
        return visit.show(view)

    async def _form(self, visit: Visit, values: dict[str, str], problems: FormProblems, status: int) -> Response:
        client = await self._clients.find_enabled(values["id"])
        if client is None:
            raise AdminRequestError(404, f"There is no client {values['id']!r}, or it is disabled.")
        addresses = tuple(Choice(uri, uri) for uri in client.launch_uris)
        back = PageLink(address(client_pages.SHOW, id=client.client_id), gettext("Cancel"))
        wrong = problems.by_field
        if not addresses:
            message = gettext("This app has no launch address. It starts by itself; a launch needs an address to open.")
            view = DetailView(visit.frame, gettext("Try a launch"), (), problem=message, back=back)
            return visit.show(view, 409)
        fields = (
            Field(
                "patient",
                gettext("Patient (id)"),
                value=values.get("patient", ""),
                help=gettext("As on the screen of a health record system. Without one, the app or the user chooses."),
                problem=wrong.get("patient", ""),
                is_code=True,
            ),
            Field(
                "encounter",
                gettext("Visit (id)"),
                value=values.get("encounter", ""),
                problem=wrong.get("encounter", ""),
                is_code=True,
            ),
            Field(
                "launch_uri",
                gettext("Launch address"),
                "select",
                values.get("launch_uri") or addresses[0].value,
                problem=wrong.get("launch_uri", ""),
                choices=addresses,
            ),
        )
        view_of_form = FormView(
            visit.frame,
            gettext("Try a launch of %(name)s", name=client.name),
            TRY,
            fields,
            gettext("Start it"),
            back,
            gettext("Opens the app as a health record system would. It gets nothing that its user does not grant."),
            gettext("The launch was not started.") if problems else "",
            (("id", client.client_id),),
            problems.others,
        )
        return visit.show(view_of_form, status)


def _row(launch: OpenLaunch) -> tuple[Cell, ...]:
    user = launch.user or ""
    return (
        Cell(launch.client_id, href=address(client_pages.SHOW, id=launch.client_id), is_code=True),
        Cell(launch.launcher, is_code=True),
        Cell(launch.patient or "", is_code=True),
        Cell(user, href=address(user_pages.SHOW, user=user) if user else "", is_code=True),
        Cell(
            gettext("Since %(time)s", time=moment(launch.launched_at)),
            gettext("Until %(time)s", time=moment(launch.ends_at)),
        ),
    )
