"""Who may see and do what on the admin pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin.door import AdminDoor
from gateway.admin.pages.notices import Notices
from gateway.admin.pages.page_look import AdminPageLook
from gateway.admin.pages.refused_visit import RefusedVisit, as_refusal
from gateway.admin.pages.visit import OVERVIEW, Visit, address
from gateway.admin.sessions import SignedIn
from gateway.oauth.parameters import Parameters
from gateway.pages.admin.views import AdminMessageView
from gateway.pages.views import PageLink
from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import read_page_form, retry_later, see_other
from gateway.smart_server.page_language import gettext

Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
SIGN_IN = "/sign-in"


@dataclass(frozen=True, slots=True)
class PageGuard:
    """Builds routes whose handlers see only those who may, and whose errors are pages."""

    door: AdminDoor
    look: AdminPageLook
    notices: Notices

    def open_page(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """A page that nobody has to sign in for."""
        return self._route(path, endpoint, *methods)

    def page(self, path: str, section: str, handler: Handler) -> Route:
        """A page for everybody who has signed in. It changes nothing."""

        async def respond(request: Request) -> Response:
            signed_in = await self.door.signed_in(request)
            if signed_in is None:
                return _to_sign_in(request)
            return await self._answer(self._visit(request, signed_in, section), handler)

        return self._route(path, respond, "GET")

    def change(self, path: str, section: str, ask: Handler, carry_out: Handler) -> Route:
        """A page where operators change something: GET asks, and a POST of our own form carries it out."""

        async def respond(request: Request) -> Response:
            signed_in = await self.door.signed_in(request)
            is_post = request.method == "POST"
            if signed_in is None and not is_post:
                return _to_sign_in(request)
            if signed_in is None:
                raise RefusedVisit(
                    "not_authenticated", gettext("Nobody is signed in here any more. Nothing was changed.")
                )
            visit = self._visit(request, signed_in, section)
            return await self._answer(visit, carry_out if is_post else ask, changes=True)

        return self._route(path, respond, "GET", "POST")

    def own_form(self, path: str, carry_out: Handler) -> Route:
        """What everybody may post who has signed in, from a form of our own page."""

        async def respond(request: Request) -> Response:
            signed_in = await self.door.signed_in(request)
            if signed_in is None:
                return _to_sign_in(request)
            return await self._answer(self._visit(request, signed_in, OVERVIEW), carry_out)

        return self._route(path, respond, "POST")

    async def _answer(self, visit: Visit, handler: Handler, *, changes: bool = False) -> Response:
        """The handler's page, or a page within the frame that says why there is none."""
        try:
            if changes and not visit.is_operator:
                message = gettext("Auditors see everything here, and change nothing. Nothing was changed.")
                raise RefusedVisit("not_permitted", message)
            if visit.request.method == "POST":
                visit = replace(visit, form=await self._read_own_form(visit))
            response = await handler(visit)
        except Exception as error:  # each becomes a page
            response = self.refuse(error, visit.request, visit)
        if visit.request.method == "GET" and visit.notices.read(visit.request):
            visit.notices.forget(response)
        return response

    async def _read_own_form(self, visit: Visit) -> Parameters:
        """The fields of a form that was posted from a page of this session."""
        fields, _ = await read_page_form(visit.request)
        if not self.door.is_own_form(visit.signed_in, fields.get("csrf")):
            message = gettext("This form did not come from our own page, or is an old one. Nothing was changed.")
            raise RefusedVisit("form_foreign", message)
        return fields

    def _visit(self, request: Request, signed_in: SignedIn, section: str) -> Visit:
        return Visit(request, signed_in, self.look, self.notices, section)

    def _route(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        async def respond(request: Request) -> Response:
            self.look.use_language_of(request)
            try:
                return await endpoint(request)
            except Exception as error:
                return self.refuse(error, request)

        return Route(path, self.door.recorded(respond), methods=list(methods))

    def refuse(self, error: Exception, request: Request, visit: Visit | None = None) -> Response:
        """The page that says why the request is not carried out; within the frame for those who have signed in."""
        refused = as_refusal(error, request.scope["path"])
        note_refusal(refused.reason)
        if visit is None:
            link = PageLink(SIGN_IN, gettext("Sign in"))
        elif visit.section == OVERVIEW:
            link = PageLink(OVERVIEW, gettext("Overview"))
        else:
            link = PageLink(visit.section, gettext("Back to the list"))
        view = AdminMessageView(
            refused.title,
            refused.message,
            (link,),
            None if visit is None else visit.frame,
            refused.reason,
            refused.details,
        )
        response = self.look.respond(view, refused.status)
        if refused.retry_after:
            retry_later(response, refused.status, refused.retry_after)
        return response


def _to_sign_in(request: Request) -> Response:
    """The sign-in page, which leads back to where somebody wanted to go."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other(address(SIGN_IN, to="" if target == OVERVIEW else target))
