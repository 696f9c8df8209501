"""`/manage`: the apps with access to the records of a signed-in user, who can end that access."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import Authorization
from gateway.oauth.client.client import Client
from gateway.oauth.purpose_of_use import purpose_in_force
from gateway.pages.granted_access_view import GrantedAccessGroup, GrantedAccessRow, GrantedAccessView
from gateway.pages.markup_size import markup_size
from gateway.scopes.algebra import normalise
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.smart_server.app_origin import app_warning
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import html_response, see_other
from gateway.smart_server.page_language import current_language, format_time, gettext
from gateway.smart_server.portal.portal_session import PortalSessions, sign_in_url
from gateway.smart_server.purpose_label import purpose_label
from gateway.smart_server.token.grant_lifetime import grant_lifetime
from gateway.telemetry.server_event import EventKind

# The page has at most 200 KB, whatever a user has granted: so many authorizations, the newest, and so many bytes for
# the sentences about all of their scopes.
_MAX_ROWS = 60
_SENTENCES_BYTES = 90_000
_SENTENCE_BYTES = 30


class GrantedAccessEndpoint:
    """Lists what a user granted, and ends it."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._portal_sessions = PortalSessions(dependencies, cookies)

    async def handle(self, request: Request) -> Response:
        """GET: what the user granted. POST: end one or all, in every worker (RV-1, RV-3). Raises `PageError`."""
        issuer = self._dependencies.issuer
        session = await self._portal_sessions.current_session(request)
        if session is None:
            return see_other(sign_in_url(issuer, "manage"))
        notice = await self._end_access(request) if request.method == "POST" else ""
        authorizations = await self._dependencies.storage.authorizations.list(subject=session.user.subject)
        if len(authorizations) > _MAX_ROWS:
            rest = len(authorizations) - _MAX_ROWS
            text = gettext_noop("The newest %(count)s are listed; %(rest)s older ones follow as you end these.")
            notice = f"{notice} {gettext(text, count=_MAX_ROWS, rest=rest)}".lstrip()
            newest = sorted(authorizations, key=lambda granted: granted.granted_at, reverse=True)
            authorizations = tuple(newest[:_MAX_ROWS])
        room = _SENTENCES_BYTES // max(1, len(authorizations))
        view = GrantedAccessView(
            action=f"{issuer}/manage",
            csrf=session.csrf,
            user_name=session.user.name,
            sign_out=f"{issuer}/sign-out",
            groups=await self._group(authorizations, room),
            notice=notice,
            app_gallery=f"{issuer}/apps",
        )
        return html_response(view, pages=self._dependencies.pages)

    async def _end_access(self, request: Request) -> str:
        """End the access in the form, or all of the user; the notice to show."""
        session, fields = await self._portal_sessions.read_form(request)
        authorizations, subject = self._dependencies.storage.authorizations, session.user.subject
        if fields.get("every") == "yes":
            for authorization in await authorizations.list(subject=subject):
                await self._end_authorization(authorization, subject)
            return gettext("All access has ended.")
        chosen = await authorizations.get(fields.get("grant") or "")
        if chosen is None or chosen.user is None or chosen.user.subject != subject:
            return gettext("This access had already ended.")
        await self._end_authorization(chosen, subject)
        return gettext("The access has ended.")

    async def _end_authorization(self, authorization: Authorization, subject: str) -> None:
        storage = self._dependencies.storage
        # The access ends last: if the store becomes unavailable before, the user still sees it and can end it again.
        await storage.consents.delete(subject, authorization.client_id, authorization.context.patient)
        await storage.ends.end_authorization(authorization.authorization_id)
        self._dependencies.record_event(
            EventKind.REVOKED,
            client_id=authorization.client_id,
            subject=subject,
            authorization_id=authorization.authorization_id,
            reason="user",
        )

    async def _group(self, authorizations: Sequence[Authorization], room: int) -> tuple[GrantedAccessGroup, ...]:
        """The authorizations by app and patient, in the order of the first of each."""
        groups: dict[tuple[str, str, str | None], GrantedAccessGroup] = {}
        for authorization in authorizations:
            client = await self._dependencies.clients.find_any(authorization.client_id)
            # Another app may have been registered with the same id since.
            is_same_client = client is not None and authorization.belongs_to(client)
            app_name = client.name if client is not None and is_same_client else authorization.client_id
            warning = app_warning(client) if client is not None and is_same_client else ""
            key = authorization.client_id, app_name, authorization.context.patient
            group = groups.get(key) or GrantedAccessGroup(app_name, authorization.patient_name, (), warning)
            row = await self._access_row(authorization, client, room)
            groups[key] = replace(group, rows=(*group.rows, row))
        return tuple(groups.values())

    async def _access_row(self, authorization: Authorization, client: Client | None, room: int) -> GrantedAccessRow:
        # A scope in both of its forms is one sentence.
        scopes = normalise(parse_granted_scopes(authorization.scope))
        user, patient = authorization.user, authorization.context.patient
        is_own_record = user is not None and user.patient is not None and user.patient == patient
        sentences, texts = shown_scopes(scopes, room, is_own_record=is_own_record)
        renewed_at = await self._dependencies.storage.refresh_tokens.last_used_at(authorization.authorization_id)
        return GrantedAccessRow(
            grant_id=authorization.authorization_id,
            since=format_time(authorization.granted_at),
            until="" if client is None else self._describe_end(authorization, client, renewed_at),
            last_used="" if renewed_at is None else format_time(renewed_at),
            sentences=sentences,
            scopes=texts,
            purpose=self._describe_purpose(authorization),
        )

    def _describe_purpose(self, authorization: Authorization) -> str:
        """The purpose that the user named; empty for none, and for one that counts no longer."""
        offered = self._dependencies.purposes_of_use
        code = purpose_in_force(authorization, offered)
        return next((purpose_label(purpose) for purpose in offered if purpose.code == code), "")

    def _describe_end(self, authorization: Authorization, client: Client, renewed_at: float | None) -> str:
        started_at = authorization.granted_at if renewed_at is None else renewed_at
        end = format_time(started_at + grant_lifetime(authorization, client, self._dependencies.lifetimes))
        return end if renewed_at is None else gettext("%(end)s, and longer while the app is used", end=end)


def shown_scopes(
    scopes: Sequence[Scope], room: int, *, is_own_record: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences about the scopes, and their texts, that fit into `room` bytes of the page.

    Two scopes may say the same, and are one sentence. The last sentence says how many scopes are left out.
    """
    sentences, texts = dict[str, None](), list[str]()
    for scope in scopes:
        sentence, text = describe_scope(scope, current_language(), is_own_record=is_own_record), format_scope(scope)
        room -= 2 * _SENTENCE_BYTES + markup_size(sentence) + markup_size(text)
        if room < 0:
            rest = gettext("And %(count)s more that the app asked you for.", count=len(scopes) - len(texts))
            return (*sentences, rest), tuple(texts)
        sentences[sentence] = None
        texts.append(text)
    return tuple(sentences), tuple(texts)
