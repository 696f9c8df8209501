"""The forms of the pages, posted: login, patient, visit and consent. Each is held to what its page offered."""

import logging
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.keys.refused import TokenRefused
from gateway.oauth.authorization import Session, User
from gateway.oauth.errors import PageError
from gateway.oauth.parameters import Parameters
from gateway.storage.handles import new_id
from gateway.storage.sessions import Transaction
from gateway.telemetry.event import EventKind
from gateway.web.smart.browser import Cookies
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.requests import page_form, remote_of, see_other
from gateway.web.smart.shown import change, is_own, picker_shown, read_shown
from gateway.web.smart.walk import Again, Answer, Walk

_log = logging.getLogger(__name__)
_WINDOW = 300.0
_TOO_MANY = "Too many tries. Please wait five minutes."
# Many people may sit behind one address.
_ADDRESS_FACTOR = 10


class AnswersOfPeople:
    """One method for each form, which raises `PageError` where the form is not believed."""

    def __init__(self, parts: SmartParts, cookies: Cookies, walk: Walk) -> None:
        self._parts = parts
        self._cookies = cookies
        self._walk = walk

    async def login(self, request: Request) -> Response:
        """User name and password, or cancel."""
        transaction, fields, _ = await self._posted(request)
        if fields.get("decision") == "cancel":
            return await self._walk.ending.deny(transaction)
        user, problem = await self.check_password(fields, request)
        if user is None:
            return await self._walk.go_on(
                transaction, request, Again(problem, username=(fields.get("username") or "")[:200])
            )
        return await self.signed_in(transaction, user, request)

    async def check_password(self, fields: Parameters, request: Request) -> tuple[User | None, str]:
        """The user, or what to say. Tries are counted per name, failures per address too, in the store (RFC 9700)."""
        username, password = fields.get("username") or "", fields.get("password") or ""
        if not username or not password or len(username) > 200 or len(password) > 1000:
            return None, "Please enter your user name and your password."
        attempts, limit = self._parts.remembered.attempts, self._parts.login_attempts
        remote = remote_of(request)
        here, most = f"login:{remote}", limit * _ADDRESS_FACTOR
        held_back = await attempts.used_up(here, most)
        if held_back or not await attempts.allowed(f"login-as:{username}", limit, _WINDOW):
            _log.warning("logins are held back", extra={"remote": remote})
            return None, _TOO_MANY
        try:
            user = await self._parts.users.sign_in(username, password)
        except TokenRefused:
            return None, "Many people are signing in just now. Please try again in a moment."
        if user is None:
            # Of an address only what fails is counted: behind a proxy everybody may have the same one.
            await attempts.allowed(here, most, _WINDOW)
            self._parts.tell(EventKind.SIGN_IN_FAILED, remote_address=remote)
            return None, "The user name or the password is not right."
        await attempts.forget(f"login-as:{username}")
        return user, ""

    async def signed_in(
        self, transaction: Transaction, user: User, request: Request, *, at: float | None = None
    ) -> Response:
        """Begin a session under a new secret, and go on with the request as that user, who signed in `at` or now."""
        response = see_other(self._walk.address(transaction))
        same = transaction.user is not None and transaction.user.subject == user.subject
        session = await self.begin_session(user, request, response, at=at)
        await self._parts.remembered.transactions.put(
            replace(
                # What somebody else chose or saw before is chosen, and looked at, anew.
                transaction.without_choices(),
                user=user,
                session_id=session.session_id,
                signed_in_at=session.signed_in_at,
                signed_in_here=True,
                answers=transaction.answers if same else (),
                remember=transaction.remember and same,
                several_patients=False,
            )
        )
        return response

    async def begin_session(
        self, user: User, request: Request, response: Response, *, at: float | None = None
    ) -> Session:
        """A new session; one that the browser had before ends (session fixation).

        `at` is when the user proved who it is, where that was elsewhere and before, in seconds since the epoch.
        """
        before = self._cookies.session(request)
        if before is not None:
            await self._parts.remembered.sessions.end(before)
        session = Session(new_id(), user, self._parts.clock() if at is None else at, new_id())
        await self._parts.remembered.sessions.put(self._cookies.sign_in(response), session)
        self._parts.tell(
            EventKind.SIGNED_IN, subject=user.subject, reason=user.provider, remote_address=remote_of(request)
        )
        return session

    async def patient(self, request: Request) -> Response:
        """The patient that was chosen, one of those that were offered."""
        transaction, fields, _ = await self._posted(request)
        if fields.get("decision") == "cancel":
            return await self._walk.ending.deny(transaction)
        if problem := _outdated(transaction, fields):
            return await self._walk.go_on(transaction, request, Again(problem))
        chosen = fields.get("patient")
        if chosen is None:
            return await self._walk.go_on(transaction, request, Again("Please choose a patient."))
        if transaction.user is None or f"Patient/{chosen}" not in transaction.offered:
            raise PageError("choice_not_offered", "The patient that was sent is none of those that were offered.")
        following = replace(transaction.with_context(patient=chosen), offered=(), patient_name="")
        return await self._on(following)

    async def encounter(self, request: Request) -> Response:
        """The visit that was chosen, or none in particular."""
        transaction, fields, _ = await self._posted(request)
        if fields.get("decision") == "cancel":
            return await self._walk.ending.deny(transaction)
        if problem := _outdated(transaction, fields):
            return await self._walk.go_on(transaction, request, Again(problem))
        chosen = fields.get("encounter")
        if transaction.user is None or (chosen is not None and f"Encounter/{chosen}" not in transaction.offered):
            raise PageError("choice_not_offered", "The visit that was sent is none of those that were offered.")
        following = replace(transaction.with_context(encounter=chosen), offered=(), encounter_settled=True)
        return await self._on(following)

    async def consent(self, request: Request) -> Response:
        """What the person agreed to, or that it is about another patient."""
        transaction, fields, pairs = await self._posted(request)
        decision = fields.get("decision")
        if decision not in {"allow", "another-patient"}:
            return await self._walk.ending.deny(transaction)
        answer = Answer(
            shown=read_shown(fields.get("csrf") or ""),
            pairs=pairs,
            remember=fields.get("remember") is not None,
            another_patient=decision == "another-patient",
        )
        return await self._walk.answer(transaction, request, answer)

    async def _posted(self, request: Request) -> tuple[Transaction, Parameters, tuple[tuple[str, str], ...]]:
        """The request under way and the fields, if browser and page are the right ones. Raises `PageError`."""
        transaction = await self._walk.current(request)
        fields, pairs = await page_form(request)
        if not is_own(fields.get("csrf"), transaction):
            raise PageError("form_foreign", "The form did not come from our own page, so that nothing was done.")
        return transaction, fields, pairs

    async def _on(self, transaction: Transaction) -> Response:
        await self._parts.remembered.transactions.put(transaction)
        return see_other(self._walk.address(transaction))


def _outdated(transaction: Transaction, fields: Parameters) -> str:
    """Why nothing is chosen by the form of a picker that another tab has overtaken; empty where it has not."""
    return change(read_shown(fields.get("csrf") or ""), picker_shown(transaction))
