"""A request of somebody who has signed in, with what its page needs: who asks, the frame, and the fields of a form."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.administrator import Role
from gateway.admin.pages.notices import Notices
from gateway.admin.pages.page_look import AdminPageLook
from gateway.admin.sessions import SignedIn
from gateway.languages.language import gettext_noop
from gateway.oauth.parameters import Parameters
from gateway.pages.admin.parts import Action, Frame, NavigationLink
from gateway.pages.admin.views import AdminView
from gateway.smart_server.http_messages import see_other
from gateway.smart_server.page_language import gettext

OVERVIEW = "/"
CLIENTS = "/clients"
USERS = "/users"
GRANTS = "/grants"
LAUNCHES = "/launches"
KEYS = "/keys"
DECISIONS = "/decisions"
CONFIGURATION = "/configuration"
SECTIONS = {
    OVERVIEW: gettext_noop("Overview"),
    CLIENTS: gettext_noop("Apps"),
    USERS: gettext_noop("Users"),
    GRANTS: gettext_noop("Access"),
    LAUNCHES: gettext_noop("Launches"),
    KEYS: gettext_noop("Keys"),
    DECISIONS: gettext_noop("Decisions"),
    CONFIGURATION: gettext_noop("Configuration"),
}
_NO_FIELDS = Parameters({})


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. `section` is the path of the section that its page belongs to; `form` are the posted fields."""

    request: Request
    signed_in: SignedIn
    look: AdminPageLook
    notices: Notices
    section: str
    form: Parameters = _NO_FIELDS

    @property
    def is_operator(self) -> bool:
        """Whether the page may offer changes."""
        return self.signed_in.administrator.role.includes(Role.OPERATOR)

    def query(self, name: str) -> str:
        """A parameter of the address, without spaces around it; empty if it is missing."""
        return self.request.query_params.get(name, "").strip()

    def field(self, name: str) -> str:
        """A posted field; empty if it is missing."""
        return self.form.get(name) or ""

    @property
    def frame(self) -> Frame:
        """What stands around the page."""
        administrator = self.signed_in.administrator
        return Frame(
            user_name=administrator.name,
            role=gettext("Operator") if self.is_operator else gettext("Auditor"),
            csrf=self.signed_in.csrf,
            sign_out="/sign-out",
            navigation=tuple(
                NavigationLink(path, gettext(text), path == self.section) for path, text in SECTIONS.items()
            ),
            notice=self.notices.read(self.request) if self.request.method == "GET" else "",
        )

    def offer(self, *actions: Action) -> tuple[Action, ...]:
        """The actions, for those who may take them."""
        return actions if self.is_operator else ()

    def show(self, view: AdminView, status: int = 200) -> Response:
        """The page."""
        return self.look.respond(view, status)

    def done(self, location: str, notice: str, count: int = 0) -> Response:
        """A redirect to the page that says what has been done: going back or reloading does not do it again."""
        response = see_other(location)
        self.notices.set(response, notice, count)
        return response


def address(path: str, /, **parameters: str) -> str:
    """A path of ours with the parameters that are not empty."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path
