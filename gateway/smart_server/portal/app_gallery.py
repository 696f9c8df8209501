"""`/apps`: the app gallery, in which a signed-in user starts apps."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.refusal import RequestRefused
from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import Session
from gateway.oauth.client.client import Client
from gateway.oauth.errors import PageError, WayBack
from gateway.oauth.launch_context import LaunchContext
from gateway.pages.security_headers import form_action_source
from gateway.pages.views import AppCard, AppGalleryView, PatientChoice
from gateway.policy.reasons import Reason
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_refusal
from gateway.smart_server.http_messages import html_response, see_other
from gateway.smart_server.launch.launch_service import GALLERY, LaunchError, LaunchService
from gateway.smart_server.page_language import gettext
from gateway.smart_server.patients.patient_directory import PickerEntry
from gateway.smart_server.patients.rejected_search import is_rejected, rejected_search
from gateway.smart_server.portal.portal_session import PortalSessions, sign_in_url

_log = logging.getLogger(__name__)


class AppGalleryEndpoint:
    """Lists the apps, and starts one by an EHR launch (E-1)."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies, launches: LaunchService) -> None:
        self._dependencies = dependencies
        self._launches = launches
        self._portal_sessions = PortalSessions(dependencies, cookies)

    async def handle(self, request: Request) -> Response:
        """GET: the apps, and the patient to start them for. POST: start an app. Raises `PageError`."""
        session = await self._portal_sessions.current_session(request)
        if session is None:
            return see_other(sign_in_url(self._dependencies.issuer, "apps"))
        try:
            if request.method == "POST":
                return await self._start_app(request)
            name, patient_id = request.query_params.get("name", ""), request.query_params.get("patient", "")
            return await self._gallery_page(session, name, patient_id, "")
        except RequestRefused as refused:
            if is_rejected(refused):
                raise rejected_search(refused, f"{self._dependencies.issuer}/apps") from refused
            raise self._unavailable(refused.deny.reason) from refused

    async def _start_app(self, request: Request) -> Response:
        session, fields = await self._portal_sessions.read_form(request)
        client = await self._dependencies.clients.find_enabled(fields.get("client") or "")
        if client is None:
            raise PageError(
                "client_unknown",
                "This app is no longer registered here. Please choose another one.",
                way_back=WayBack(f"{self._dependencies.issuer}/apps", gettext_noop("Back to the apps")),
            )
        patient_id = session.user.patient or fields.get("patient")
        context = LaunchContext(patient=patient_id, need_patient_banner=True)
        try:
            await self._launches.count_launch(request, GALLERY)
            launch = await self._launches.create(client, context, launcher=GALLERY, user=session.user)
        except LaunchError as error:
            note_refusal("launch_refused")
            page = await self._gallery_page(session, "", patient_id or "", str(error))
            if error.status == 429:
                page.status_code = 429
            page.headers.update(error.headers)
            return page
        return see_other(launch.location)

    async def _gallery_page(self, session: Session, name: str, patient_id: str, problem: str) -> Response:
        user, issuer = session.user, self._dependencies.issuer
        directory = self._dependencies.patient_directory
        requested_id = user.patient or patient_id
        chosen_patient = await directory.find_patient(user, requested_id) if requested_id else None
        apps = await self._list_apps()
        patients: list[PickerEntry] = []
        has_more = False
        if user.patient is None:
            patients, has_more = await directory.search_patients(user, name)
        if not problem and patient_id and chosen_patient is None:
            problem = gettext("There is no such patient.")
        view = AppGalleryView(
            action=f"{issuer}/apps",
            csrf=session.csrf,
            user_name=user.name,
            sign_out=f"{issuer}/sign-out",
            granted_access=f"{issuer}/manage",
            patient_query=name,
            patients=tuple(PatientChoice(entry.resource_id, entry.name, entry.detail) for entry in patients),
            chosen_patient="" if chosen_patient is None else chosen_patient.resource_id,
            chosen_patient_name="" if chosen_patient is None else chosen_patient.name,
            apps=tuple(AppCard(app.client_id, app.name, app.purpose, app.logo, needs_patient=False) for app in apps),
            problem=problem,
            has_more=has_more,
        )
        form_sources = {form_action_source(uri) for app in apps for uri in (*app.launch_uris, *app.redirect_uris)}
        return html_response(
            view,
            pages=self._dependencies.pages,
            form_targets=tuple(sorted(form_sources)),
            logos=tuple(app.logo for app in apps if app.logo),
        )

    async def _list_apps(self) -> list[Client]:
        """The apps that the operator registered. An app that registered itself may have chosen any name."""
        return [
            client
            for client in await self._dependencies.clients.list_all()
            if client.launch_uris and not client.disabled and not client.self_registered
        ]

    def _unavailable(self, reason: Reason) -> PageError:
        _log.warning("the FHIR server does not respond to the app gallery", extra={"reason": reason.value})
        return PageError(
            reason.value,
            "The health records are not available at the moment. Please try again in a minute.",
            title=gettext_noop("Please wait a little"),
            way_back=WayBack(f"{self._dependencies.issuer}/apps", gettext_noop("Try again")),
            status=503,
        )
