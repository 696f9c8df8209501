"""A request for access on its way through login, patient, visit and consent, to the answer that the app gets.

Read `Walk.go_on`: it looks at how far a request is, and shows the next step. Nothing is believed from one step to the
next but what stands in the transaction, and every step is looked at again before the end.
"""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.granting import OFFLINE, can_be_remembered, needs_encounter, needs_patient, opens_anything
from gateway.scopes.model import Scope
from gateway.scopes.unparse import unparse, unparse_scope
from gateway.storage.consents import Consent
from gateway.storage.sessions import Transaction
from gateway.web.answer import Refused
from gateway.web.html.policy import form_target
from gateway.web.html.views import View
from gateway.web.smart.browser import Cookies, is_bound
from gateway.web.smart.consent import answers_given, chosen_scopes, consent_view
from gateway.web.smart.ending import Ending
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import page, see_other
from gateway.web.smart.shown import Shown, change, consent_shown, offered_shown, picker_shown
from gateway.web.smart.standing import Ready, Standing
from gateway.web.smart.steps import encounter_view, login_view, patient_view

_log = logging.getLogger(__name__)
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Again:
    """What a page shows again after a form of it: what was wrong, and what was typed."""

    problem: str = ""
    name: str = ""
    username: str = ""


_NOTHING = Again()
_SIGNED_OUT = "You are not signed in any more. Please sign in to go on."


@dataclass(frozen=True, slots=True)
class Answer:
    """A consent page that was answered: what that page showed, what was ticked, and whether for another patient."""

    shown: Shown
    pairs: Pairs
    remember: bool
    another_patient: bool


class Walk:
    """The steps between an authorization request and its answer."""

    def __init__(self, parts: SmartParts, cookies: Cookies) -> None:
        self._parts = parts
        self._cookies = cookies
        self._standing = Standing(parts, cookies)
        self.ending = Ending(parts)

    async def current(self, request: Request) -> Transaction:
        """The request under way that the address names, in the browser that began it. Raises `PageError`."""
        transaction = await self._parts.remembered.transactions.get(request.path_params["transaction"])
        if transaction is None or not is_bound(self._cookies.binding(request), transaction.browser):
            raise PageError(
                "request_over",
                "This request for access is over, or was begun in another browser. Go back to the app and start again.",
            )
        return transaction

    async def go_on(self, transaction: Transaction, request: Request, again: Again = _NOTHING) -> Response:
        """The next step of a request: a page to fill in, or the answer to the app."""
        return await self._told(transaction, self._step(transaction, request, again))

    async def answer(self, transaction: Transaction, request: Request, answer: Answer) -> Response:
        """The answer to the app for what the person ticked, if the consent page is really where the request is."""
        return await self._told(transaction, self._answered(transaction, request, answer))

    async def _told(self, transaction: Transaction, answer: Awaitable[Response]) -> Response:
        """The answer, or what the app is told where the request ends without a code; either way it is over then."""
        try:
            return await answer
        except RedirectError as error:
            await self._parts.remembered.transactions.take(transaction.transaction_id)
            return self.ending.redirect(error.redirect_uri, error.parameters())
        except Refused as refused:
            _log.warning("the FHIR server does not answer a picker", extra={"reason": refused.deny.reason.value})
            asked = transaction.request
            await self._parts.remembered.transactions.take(transaction.transaction_id)
            away = asked.denied(ErrorCode.TEMPORARILY_UNAVAILABLE, "The FHIR server does not answer at the moment.")
            return self.ending.redirect(away.redirect_uri, away.parameters())

    async def _step(self, transaction: Transaction, request: Request, again: Again) -> Response:
        ready = await self._ready(transaction, request, again)
        if not isinstance(ready, Ready):
            return ready
        if await self._standing.agreed_before(ready):
            return await self.ending.grant(ready.transaction, ready.client, ready.user, ready.offered)
        return await self._ask(ready, again.problem)

    async def _answered(self, transaction: Transaction, request: Request, answer: Answer) -> Response:
        """Every step is looked at again: a consent that is posted early skips none of their checks (G-2, edge 30).

        What another tab has changed since the page was shown was not agreed to on it.
        """
        transaction = await self._standing.signed_in(transaction, request)
        early = Again(change(answer.shown, picker_shown(transaction)) if transaction.user is not None else _SIGNED_OUT)
        ready = await self._ready(transaction, request, early)
        if not isinstance(ready, Ready):
            return ready
        now = consent_shown(ready.transaction, ready.client, _texts(ready.offered))
        problem = change(answer.shown, now)
        if problem:
            return await self._ask(replace(ready, transaction=_with_ticks(ready, answer, now)), problem)
        if answer.another_patient:
            return await self._back_to_the_picker(_with_ticks(ready, answer, now))
        return await self._agreed(ready, answer)

    async def _back_to_the_picker(self, transaction: Transaction) -> Response:
        if not transaction.another_patient:
            raise PageError("choice_not_offered", "This request is about this patient alone.")
        await self._parts.remembered.transactions.put(transaction.without_choices())
        return see_other(self.address(transaction))

    async def _agreed(self, ready: Ready, answer: Answer) -> Response:
        asked = ready.transaction.request
        chosen = chosen_scopes(ready.offered, answer.pairs)
        if not opens_anything(chosen):
            raise asked.denied(ErrorCode.ACCESS_DENIED, "The user agreed to nothing.")
        response = await self.ending.grant(ready.transaction, ready.client, ready.user, chosen)
        if answer.remember and can_be_remembered(ready.client, asked.redirect_uri):
            user, patient = ready.user.subject, ready.transaction.context.patient
            scope = unparse(one for one in chosen if one != OFFLINE)
            agreed = Consent(scope, self._parts.clock())
            await self._parts.remembered.consents.put(user, ready.client.client_id, patient, agreed)
        return response

    async def _ready(self, transaction: Transaction, request: Request, again: Again) -> Ready | Response:
        """The request with all that consent is about settled, or the page of the first step that is not."""
        asked = transaction.request
        client = await self._standing.client(transaction)
        transaction = await self._standing.signed_in(transaction, request)
        user = transaction.user
        if user is None:
            self._interact(asked, ErrorCode.LOGIN_REQUIRED)
            return await self._show(
                transaction, login_view(self._parts, transaction, client, self.address, again.problem, again.username)
            )
        offered = self._standing.offered(transaction, client)
        transaction = await self._standing.with_patient(transaction, offered)
        if needs_patient(offered) and transaction.context.patient is None:
            self._interact(asked, ErrorCode.INTERACTION_REQUIRED)
            view, people = await patient_view(self._parts, transaction, client, self.address, again.name, again.problem)
            several = transaction.several_patients or view.more or len(people) > 1
            return await self._show(replace(transaction, offered=people, several_patients=several), view)
        if needs_encounter(offered) and not transaction.encounter_settled and not transaction.launched:
            view_of_visits, visits = await encounter_view(self._parts, transaction, client, self.address, again.problem)
            if visits:
                self._interact(asked, ErrorCode.INTERACTION_REQUIRED)
                return await self._show(replace(transaction, offered=visits), view_of_visits)
            transaction = replace(transaction, encounter_settled=True)
        return Ready(transaction, client, user, offered)

    async def _ask(self, ready: Ready, problem: str) -> Response:
        """The consent page."""
        transaction = replace(ready.transaction, offered=_texts(ready.offered))
        self._interact(transaction.request, ErrorCode.CONSENT_REQUIRED)
        view = consent_view(transaction, ready.client, ready.offered, self.address, problem)
        return await self._show(transaction, view)

    def _interact(self, asked: AuthorizationRequest, code: ErrorCode) -> None:
        if "none" in asked.prompt:
            raise asked.denied(code, "The user would have to be asked, which prompt=none forbids.")

    async def _show(self, transaction: Transaction, view: View) -> Response:
        if await self._parts.remembered.transactions.put(transaction) is None:
            # Another tab was faster: what is shown is how the request stands now.
            return see_other(self.address(transaction))
        logo = getattr(view, "app_logo", "")
        return page(
            view,
            frame_ancestors=self._parts.frame_ancestors,
            form_targets=(form_target(transaction.request.redirect_uri),),
            logos=(logo,) if logo else (),
        )

    def address(self, transaction: Transaction, step: str = "") -> str:
        """The address of a request under way, or of the form of one of its steps."""
        return f"{self._parts.issuer}/authorize/{transaction.transaction_id}{step}"


def _with_ticks(ready: Ready, answer: Answer, now: Shown) -> Transaction:
    """With what was ticked, where it is known what the lines were; what somebody else ticked is not kept."""
    transaction = ready.transaction
    for lines in (transaction.offered, _texts(ready.offered)):
        if (answer.shown.user, answer.shown.offered) == (now.user, offered_shown(transaction, lines)):
            return replace(transaction, answers=answers_given(lines, answer.pairs), remember=answer.remember)
    return transaction


def _texts(scopes: tuple[Scope, ...]) -> tuple[str, ...]:
    return tuple(unparse_scope(one) for one in scopes)
