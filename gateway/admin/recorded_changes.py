"""Refuses changes and sign-ins at the admin port while their events cannot be recorded (audit-events.md)."""

from collections.abc import Callable

from gateway.admin.api.problem import ApiProblem, ProblemCode
from gateway.asgi.refusal import RETRY_AFTER
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.smart_server.openid_provider.openid_client import ADMIN_CALLBACK_PATH

_READING = frozenset({"GET", "HEAD"})


class RecordedChanges:
    """Reading goes on, because the pages say what is wrong with the events."""

    def __init__(self, application: ASGIApplication, can_record: Callable[[], bool]) -> None:
        """`can_record` says whether an event would be kept now."""
        self._application = application
        self._can_record = can_record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        # The provider sends browsers back by a GET, which begins a session. A route also matches with a line feed
        # behind its path.
        begins_session = scope["path"].startswith(ADMIN_CALLBACK_PATH)
        if (scope["method"] in _READING and not begins_session) or self._can_record():
            await self._application(scope, receive, send)
            return
        text = REFUSAL_TEXTS[Reason.AUDIT_UNAVAILABLE]
        problem = ApiProblem(
            text.status,
            ProblemCode.TEMPORARILY_UNAVAILABLE,
            text.sentence,
            headers={"retry-after": RETRY_AFTER[text.status]},
        )
        await problem.response()(scope, receive, send)
