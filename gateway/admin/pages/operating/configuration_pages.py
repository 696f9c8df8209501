"""The pages of the configuration: which one is in force, its reload, and the way back."""

import yaml
from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.refused_visit import changed_meanwhile
from gateway.admin.pages.visit import CONFIGURATION, Visit
from gateway.admin.pages.wording import fact, moment
from gateway.pages.admin.parts import Action, Cell, Fact, Section, Table
from gateway.pages.admin.views import ConfirmView, DetailView
from gateway.pages.views import PageLink
from gateway.settings.loading.shown_settings import shown_settings
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.configuration_control import ConfigurationState
from gateway.smart_server.page_language import gettext
from gateway.telemetry.configuration_metrics import ReloadOutcome

RELOAD = f"{CONFIGURATION}/reload"
ROLL_BACK = f"{CONFIGURATION}/roll-back"


class ConfigurationPages:
    """Shows the configuration, reloads it and rolls it back."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._configuration = administration.configuration

    async def show(self, visit: Visit) -> Response:
        """GET: the configuration in force."""
        try:
            state = self._configuration.state
        except AdminRequestError as error:
            sections = [Section(gettext("Changes"), sentences=error.problems), self._settings_section()]
            return visit.show(DetailView(visit.frame, gettext("Configuration"), (), sections=tuple(sections)))
        warning = ""
        if state.problems:
            warning = gettext("The files are not in force as they are now: see below why.")
        sections = [
            Section(gettext("Why the files are not in force"), sentences=state.problems),
            _history_section(state),
            self._settings_section(),
        ]
        view = DetailView(
            visit.frame,
            gettext("Configuration"),
            _facts(state),
            warning=warning,
            sections=tuple(sections if state.problems else sections[1:]),
            actions=visit.offer(
                Action(RELOAD, gettext("Read the files again"), "main"),
                *((Action(ROLL_BACK, gettext("Go back to the one before"), "danger"),) if state.previous else ()),
            ),
        )
        return visit.show(view)

    def _settings_section(self) -> Section:
        """The settings, as the configuration file would have them, without secrets."""
        shown = yaml.safe_dump(shown_settings(self._administration.settings), sort_keys=False, allow_unicode=True)
        note = gettext("With every default. Of secrets, only *** is shown.")
        return Section(gettext("Settings in force"), note, code=shown)

    async def ask_reload(self, visit: Visit) -> Response:
        """GET: asks whether to read the files again."""
        state = self._configuration.state
        view = ConfirmView(
            visit.frame,
            gettext("Read the configuration again?"),
            RELOAD,
            gettext("Yes, read it again"),
            PageLink(CONFIGURATION, gettext("No, go back")),
            (
                gettext("The files are read and checked first. If something is wrong with them, nothing changes."),
                gettext("Then they are in force here, and at every gateway that has the same store."),
                gettext("Access of users and apps that the new configuration no longer has ends at once."),
                gettext("The configuration of now is kept: there is a way back."),
            ),
            _facts(state),
            (("version", state.version),),
            is_dangerous=False,
        )
        return visit.show(view)

    async def reload(self, visit: Visit) -> Response:
        """POST: reads the files again."""
        if visit.field("version") != self._configuration.state.version:
            raise changed_meanwhile()
        outcome = await self._configuration.reload()
        is_new = outcome is not ReloadOutcome.UNCHANGED
        return visit.done(CONFIGURATION, "configuration-reloaded" if is_new else "configuration-unchanged")

    async def ask_roll_back(self, visit: Visit) -> Response:
        """GET: asks whether to go back to the configuration before."""
        state = self._configuration.state
        if state.previous is None:
            raise changed_meanwhile()
        view = ConfirmView(
            visit.frame,
            gettext("Go back to the configuration before?"),
            ROLL_BACK,
            gettext("Yes, go back"),
            PageLink(CONFIGURATION, gettext("No, stay with this one")),
            (
                gettext("The configuration %(version)s is in force again, everywhere.", version=state.previous),
                gettext("Access of users and apps that only the configuration of now has ends at once."),
                gettext("There is no way back from that but to change the files. They stay as they are, unused."),
            ),
            _facts(state),
            (("version", state.version),),
        )
        return visit.show(view)

    async def roll_back(self, visit: Visit) -> Response:
        """POST: goes back to the configuration before."""
        if visit.field("version") != self._configuration.state.version:
            raise changed_meanwhile()
        await self._configuration.roll_back()
        return visit.done(CONFIGURATION, "configuration-rolled-back")


def _history_section(state: ConfigurationState) -> Section:
    columns = (gettext("Version"), gettext("In force since"), gettext("Brought by"))
    rows = tuple(
        (Cell(change.version, is_code=True), Cell(moment(change.at)), Cell(change.trigger, is_code=True))
        for change in state.history
    )
    table = Table(gettext("History"), columns, rows, gettext("Nothing has changed since this process started."))
    return Section(gettext("History"), gettext("Of the process that shows this page, the newest first."), table=table)


def _facts(state: ConfigurationState) -> tuple[Fact, ...]:
    return (
        *fact(gettext("Version"), state.version, is_code=True),
        *fact(gettext("In force since"), moment(state.since)),
        *fact(
            gettext("The one before"),
            state.previous or gettext("None: there is no way back"),
            is_code=bool(state.previous),
        ),
    )
