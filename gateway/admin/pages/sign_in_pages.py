"""Sign-in by name and password or at the provider, and sign-out."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.door import AdminDoor
from gateway.admin.pages.guard import SIGN_IN
from gateway.admin.pages.page_look import AdminPageLook
from gateway.admin.pages.refused_visit import RefusedVisit
from gateway.admin.pages.visit import OVERVIEW, SECTIONS, Visit, address
from gateway.oauth.parameters import read_form
from gateway.pages.admin.views import AdminMessageView, AdminSignInView
from gateway.pages.views import PageLink, ProviderLink
from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import read_page_form, remote_address, retry_later, see_other
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.smart_server.page_language import gettext

AT_PROVIDER = "/sign-in/provider"
SIGN_OUT = "/sign-out"


class SignInPages:
    """Lets administrators in and out."""

    def __init__(self, administration: Administration, door: AdminDoor, look: AdminPageLook) -> None:
        self._administration = administration
        self._door = door
        self._look = look
        self._limits = administration.smart_server.limits.requests

    async def sign_in(self, request: Request) -> Response:
        """GET: the form. POST: the posted form."""
        target = landing_page(request.query_params.get("to", ""))
        if request.method != "POST":
            return self._page(request, target)
        fields, _ = await read_page_form(request)
        if not self._door.is_own_sign_in(request, fields.get("csrf")):
            note_refusal("form_foreign")
            return self._page(request, target, gettext("Please try again."), 403)
        name, password = fields.get("username") or "", fields.get("password") or ""
        if not name or not password:
            note_refusal("incomplete")
            return self._page(request, target, gettext("Please enter your user name and your password."), 400, name)
        try:
            identity = await self._administration.password_sign_in.sign_in(name, password, request)
        except TooManyAttemptsError as error:
            text = gettext("Too many tries. Please wait %(time)s.", time=describe_wait(error.retry_after))
            return self._page(request, target, text, 429, name, error.retry_after)
        if identity is None:
            return self._page(request, target, gettext("The user name or the password is not right."), 403, name)
        response = see_other(quote(target, safe="/?&=%:+"))
        await self._administration.sessions.start(identity, request, response)
        return response

    async def go_to_provider(self, request: Request) -> Response:
        """GET: the login page of the provider."""
        provider = self._administration.provider_sign_in
        if provider is None:
            raise RefusedVisit("not_found", gettext("Nobody signs in here at a provider."), status=404)
        await self._limits.count(LimitedRequest.AUTHORIZATION, remote_address(request))
        cookies = Response()
        location = await provider.start(request, cookies)
        response = see_other(location)
        response.raw_headers += [header for header in cookies.raw_headers if header[0] == b"set-cookie"]
        return response

    async def come_back(self, request: Request) -> Response:
        """GET: the provider's answer. It ends on a page of ours.

        The session's cookie is not sent along a redirect that began at another site, so there is a page between.
        """
        provider = self._administration.provider_sign_in
        if provider is None:
            raise RefusedVisit("not_found", gettext("Nobody signs in here at a provider."), status=404)
        identity = await provider.finish(request, read_form(request.scope["query_string"]))
        if identity is None:
            message = gettext(
                "Nobody was signed in: it was declined, or you have no role here. An operator can give you one."
            )
            raise RefusedVisit("not_permitted", message)
        link = PageLink(OVERVIEW, gettext("Continue"))
        response = self._look.respond(AdminMessageView(gettext("You are signed in"), "", (link,)))
        response.headers["refresh"] = f"0; url={OVERVIEW}"
        await self._administration.sessions.start(identity, request, response)
        return response

    async def sign_out(self, visit: Visit) -> Response:
        """POST: end the session."""
        response = see_other(address(SIGN_IN, out="yes"))
        await self._administration.sessions.end(visit.request, response)
        return response

    def _page(
        self, request: Request, target: str, problem: str = "", status: int = 200, name: str = "", retry_after: int = 0
    ) -> Response:
        cookies = Response()
        provider = self._administration.provider_sign_in
        is_out = request.method == "GET" and request.query_params.get("out") == "yes"
        view = AdminSignInView(
            action=address(SIGN_IN, to="" if target == OVERVIEW else target),
            csrf=self._door.sign_in_token(request, cookies),
            username=name,
            problem=problem,
            providers=() if provider is None else (ProviderLink(AT_PROVIDER, provider.name),),
            has_password_form=provider is None or bool(self._administration.settings.admin.accounts),
            notice=gettext("You are signed out.") if is_out else "",
        )
        response = self._look.respond(view, status)
        response.raw_headers += [header for header in cookies.raw_headers if header[0] == b"set-cookie"]
        if retry_after:
            retry_later(response, status, retry_after)
        return response


def landing_page(target: str) -> str:
    """Where to go after the sign-in: a page of one of the sections, and never anywhere else."""
    if not target.isascii() or not target.isprintable() or "\\" in target:
        return OVERVIEW
    parts = urlsplit(target)
    section = "/" + parts.path.removeprefix("/").partition("/")[0]
    is_ours = not parts.scheme and not parts.netloc and section != OVERVIEW and section in SECTIONS
    return target if is_ours and target.startswith("/") else OVERVIEW
