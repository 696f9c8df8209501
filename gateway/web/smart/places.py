"""Where a signed-in user goes without an app's asking: the app gallery, the list of grants, and out again."""

import logging
import time

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import Authorization, Session
from gateway.oauth.client import Client
from gateway.oauth.errors import PageError
from gateway.oauth.granting import OFFLINE
from gateway.oauth.launch_context import LaunchContext
from gateway.oauth.parameters import Parameters
from gateway.policy.reasons import Reason
from gateway.scopes.parse import parse_scopes
from gateway.scopes.sentence import sentence
from gateway.storage.handles import digest
from gateway.telemetry.event import EventKind
from gateway.web.answer import Refused
from gateway.web.html.policy import form_target
from gateway.web.html.views import AppCard, GalleryView, GrantRow, GrantsView, LoginView, MessageView, Person, Provider
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.directory import Found
from gateway.web.smart.launching import LaunchError, Launching
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import error_page, page, page_form, see_other

_log = logging.getLogger(__name__)
_TARGETS = frozenset({"apps", "manage"})


class Places:
    """Pages for who is signed in; who is not is asked to sign in first and comes back. They raise `PageError`."""

    def __init__(self, parts: SmartParts, cookies: Cookies, people: AnswersOfPeople, launching: Launching) -> None:
        self._parts = parts
        self._cookies = cookies
        self._people = people
        self._launching = launching

    # Signing in and out.

    async def sign_in(self, request: Request) -> Response:
        """GET: the form. POST: its answer. Bound to the browser by a cookie, against login CSRF (RFC 9700)."""
        target = landing(request.query_params.get("to"))
        action = f"{self._parts.issuer}/sign-in?to={target}"
        if request.method == "GET":
            return self._login_page(request, action, "")
        fields, _ = await page_form(request)
        binding = self._cookies.binding(request)
        if binding is None or not is_bound(binding, fields.get("csrf") or ""):
            return self._login_page(request, action, "Please try again.")
        user, problem = await self._people.check_password(fields, request)
        if user is None:
            return self._login_page(request, action, problem, username=fields.get("username") or "")
        response = see_other(f"{self._parts.issuer}/{target}")
        await self._people.begin_session(user, request, response)
        return response

    def _login_page(self, request: Request, action: str, problem: str, *, username: str = "") -> Response:
        """The form's token is the digest of the browser's cookie, which no other site knows."""
        carrier = Response()
        binding = self._cookies.binding(request) or self._cookies.bind(carrier)
        view = LoginView(
            action=action,
            csrf=digest(binding),
            username=username,
            problem=problem,
            providers=self._providers(action),
            local=self._parts.users.any_local or not self._parts.providers,
            hint=self._parts.users.hint,
        )
        response = page(view, frame_ancestors=self._parts.frame_ancestors)
        response.raw_headers += [pair for pair in carrier.raw_headers if pair[0] == b"set-cookie"]
        return response

    def _providers(self, action: str) -> tuple[Provider, ...]:
        """The other places to sign in, each with the way back to the same page."""
        path, _, query = action.partition("?")
        named = enumerate(self._parts.providers)
        return tuple(Provider(f"{path}/provider/{index}?{query}", one.name) for index, one in named)

    async def sign_out(self, request: Request) -> Response:
        """POST: the session ends, and with it what was granted for as long as it lasts (edge case 62)."""
        session, _ = await self._posted(request)
        cookie = self._cookies.session(request)
        if cookie is not None:
            await self._parts.remembered.sessions.end(cookie)
            self._parts.tell(EventKind.SIGNED_OUT, subject=session.user.subject)
        view = MessageView(
            title="Signed out",
            message="You are signed out.",
            link=f"{self._parts.issuer}/apps",
            link_text="Sign in again",
        )
        response = page(view, frame_ancestors=self._parts.frame_ancestors)
        self._cookies.sign_out(response)
        return response

    # The gallery.

    async def gallery(self, request: Request) -> Response:
        """GET: the apps, and the patient they will be opened for. POST: open one, which is an EHR launch (E-1)."""
        session = await self._cookies.signed_in(request, self._parts.remembered.sessions)
        if session is None:
            return see_other(f"{self._parts.issuer}/sign-in?to=apps")
        try:
            if request.method == "POST":
                return await self._open(request)
            return await self._gallery_page(session, request.query_params.get("name", ""),
                                            request.query_params.get("patient", ""), "")  # fmt: skip
        except Refused as refused:
            return self._away(refused.deny.reason)

    async def _open(self, request: Request) -> Response:
        session, fields = await self._posted(request)
        client = await self._parts.clients.find(fields.get("client") or "")
        if client is None:
            raise PageError("client_unknown", "No such app is registered here.")
        patient = session.user.patient or fields.get("patient")
        try:
            launched = await self._launching.make(
                client, LaunchContext(patient=patient, need_patient_banner=True), launcher="gallery", user=session.user
            )
        except LaunchError as error:
            return await self._gallery_page(session, "", patient or "", str(error))
        return see_other(launched.location)

    async def _gallery_page(self, session: Session, name: str, patient: str, problem: str) -> Response:
        user, issuer = session.user, self._parts.issuer
        directory = self._parts.directory
        chosen = await directory.patient(user, user.patient or patient) if user.patient or patient else None
        people: list[Found] = []
        apps = await self._launchable()
        if user.patient is None:
            people, _ = await directory.patients(user, name)
        view = GalleryView(
            action=f"{issuer}/apps",
            csrf=session.csrf,
            user_name=user.name,
            sign_out=f"{issuer}/sign-out",
            manage=f"{issuer}/manage",
            patient_query=name,
            people=tuple(Person(one.resource_id, one.name, one.detail) for one in people),
            chosen="" if chosen is None else chosen.resource_id,
            chosen_name="" if chosen is None else chosen.name,
            apps=tuple(AppCard(one.client_id, one.name, one.purpose, one.logo, needs_patient=False) for one in apps),
            problem=problem or ("There is no such patient." if patient and chosen is None else ""),
        )
        targets = {form_target(uri) for one in apps for uri in (*one.launch_uris, *one.redirect_uris)}
        return page(
            view,
            frame_ancestors=self._parts.frame_ancestors,
            form_targets=tuple(sorted(targets)),
            logos=tuple(one.logo for one in apps if one.logo),
        )

    async def _launchable(self) -> list[Client]:
        """What the organisation offers: not an app that registered itself, under whatever name it liked."""
        return [
            one
            for one in await self._parts.clients.all()
            if one.launch_uris and not one.disabled and not one.self_registered
        ]

    # What was granted.

    async def manage(self, request: Request) -> Response:
        """GET: what the user granted. POST: end one of it, in every worker (RV-1, RV-3)."""
        session = await self._cookies.signed_in(request, self._parts.remembered.sessions)
        if session is None:
            return see_other(f"{self._parts.issuer}/sign-in?to=manage")
        notice = await self._end(request) if request.method == "POST" else ""
        granted = await self._parts.remembered.authorizations.of_user(session.user.subject)
        view = GrantsView(
            action=f"{self._parts.issuer}/manage",
            csrf=session.csrf,
            user_name=session.user.name,
            sign_out=f"{self._parts.issuer}/sign-out",
            grants=tuple([await self._row(one) for one in granted]),
            notice=notice,
            apps=f"{self._parts.issuer}/apps",
        )
        return page(view, frame_ancestors=self._parts.frame_ancestors)

    async def _end(self, request: Request) -> str:
        session, fields = await self._posted(request)
        remembered = self._parts.remembered
        authorization = await remembered.authorizations.get(fields.get("grant") or "")
        if authorization is None or authorization.user is None or authorization.user.subject != session.user.subject:
            return "That access had ended already."
        # The access itself ends last: where the store goes away before, the person still finds it, and ends it again.
        await remembered.consents.forget(session.user.subject, authorization.client_id, authorization.context.patient)
        await remembered.end(authorization.authorization_id)
        self._parts.tell(
            EventKind.REVOKED,
            client_id=authorization.client_id,
            subject=session.user.subject,
            authorization_id=authorization.authorization_id,
            reason="user",
        )
        return "The access has ended."

    async def _row(self, authorization: Authorization) -> GrantRow:
        client = await self._parts.clients.look_up(authorization.client_id)
        scopes = parse_scopes(authorization.scope).scopes
        return GrantRow(
            grant_id=authorization.authorization_id,
            app_name=client.name if client is not None and authorization.is_of(client) else authorization.client_id,
            patient_name=authorization.patient_name,
            since=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(authorization.granted_at)),
            until="",
            last_used="",
            sentences=tuple(sentence(one) for one in scopes),
            offline=OFFLINE in scopes,
        )

    async def _posted(self, request: Request) -> tuple[Session, Parameters]:
        session = await self._cookies.signed_in(request, self._parts.remembered.sessions)
        fields, _ = await page_form(request)
        if session is None or fields.get("csrf") != session.csrf:
            raise PageError("form_foreign", "The form did not come from our own page, so that nothing was done.")
        return session, fields

    def _away(self, reason: Reason) -> Response:
        _log.warning("the FHIR server does not answer a page", extra={"reason": reason.value})
        message = "The health records are not available at the moment. Please try again in a minute."
        return error_page(PageError(reason.value, message), self._parts.frame_ancestors, status=503)


def landing(asked: str | None) -> str:
    """Where to go after the login: one of our own pages, never an address that somebody sent."""
    return asked if asked in _TARGETS else "apps"
