"""The pages of the keys that sign id_tokens: which there are, and their rotation."""

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.guard import Handler
from gateway.admin.pages.refused_visit import changed_meanwhile
from gateway.admin.pages.visit import KEYS, Visit
from gateway.admin.pages.wording import moment
from gateway.pages.admin.parts import Action, Badge, Cell, Section, Table
from gateway.pages.admin.views import ConfirmView, DetailView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.keys import PublishedKey
from gateway.smart_server.page_language import gettext

ROTATE = f"{KEYS}/rotate"
REPLACE = f"{KEYS}/replace"


class KeyPages:
    """Shows keys, and makes new ones."""

    def __init__(self, administration: Administration) -> None:
        self._keys = administration.keys
        self._is_from_file = administration.smart_server.signing_keys.is_from_file

    async def show(self, visit: Visit) -> Response:
        """GET: the published keys."""
        columns = (gettext("Key (kid)"), gettext("State"), gettext("Signs from"))
        rows = tuple(map(_row, await self._keys.list()))
        table = Table(gettext("Keys"), columns, rows, gettext("There is no key yet. The gateway makes the first one."))
        actions: tuple[Action, ...] = ()
        note = gettext("The key is in a file of the configuration, and is rotated there.")
        if not self._is_from_file:
            actions = visit.offer(
                Action(ROTATE, gettext("Make the next key"), "main"),
                Action(REPLACE, gettext("A key has leaked"), "danger"),
            )
            note = ""
        view = DetailView(
            visit.frame,
            gettext("Keys"),
            (),
            lead=gettext("Apps verify with them who has signed in. They are published, and sign one after the other."),
            sections=(Section(gettext("Published keys"), note, table=table),),
            actions=actions,
        )
        return visit.show(view)

    def ask(self, *, at_once: bool) -> Handler:
        """The page that asks whether to make a new key."""

        async def ask(visit: Visit) -> Response:
            effects = (
                (
                    gettext("A new key signs at once."),
                    gettext("All other keys are void: nothing that they have signed is verified any more."),
                    gettext("Apps that have not fetched the new key yet refuse sign-ins for some minutes."),
                )
                if at_once
                else (
                    gettext("A new key is published now, and signs in an hour, when apps have fetched it."),
                    gettext("The key of now stays published as long as something that it has signed is valid."),
                    gettext("Nothing ends, and nobody notices."),
                )
            )
            view = ConfirmView(
                visit.frame,
                gettext("Replace all keys at once?") if at_once else gettext("Make the next key?"),
                REPLACE if at_once else ROTATE,
                gettext("Yes, replace them") if at_once else gettext("Yes, make it"),
                PageLink(KEYS, gettext("No, go back")),
                effects,
                hidden=(("newest", await self._newest()),),
                is_dangerous=at_once,
            )
            return visit.show(view)

        return ask

    def carry_out(self, *, at_once: bool) -> Handler:
        """Makes a new key, once for each page that asked."""

        async def carry_out(visit: Visit) -> Response:
            if visit.field("newest") != await self._newest():
                raise changed_meanwhile()
            await self._keys.rotate(at_once=at_once)
            return visit.done(KEYS, "keys-replaced" if at_once else "keys-rotated")

        return carry_out

    async def _newest(self) -> str:
        keys = await self._keys.list()
        return keys[-1].kid if keys else ""


def _row(key: PublishedKey) -> tuple[Cell, ...]:
    state = Badge(gettext("Signs"), "good") if key.signs_now else Badge(gettext("Only published"))
    return (
        Cell(key.kid, is_code=True),
        Cell("", badge=state),
        Cell(moment(key.signs_from) or gettext("Since the start")),
    )
