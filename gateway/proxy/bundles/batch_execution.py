"""Carries out a batch: each entry as a request by itself, so that it works in front of servers that know no batch."""

import asyncio

from gateway.asgi.response import FhirResponse
from gateway.policy.decision_types import AllowBundle
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.proxy.bundles.answered_entry import build_bundle_response
from gateway.proxy.bundles.entry_answers import BundleContext, EntryAnswers
from gateway.proxy.bundles.entry_request import list_urns
from gateway.proxy.incoming_request import IncomingRequest
from gateway.telemetry.request_record import RequestRecord


class BatchExecution:
    """Executes an `AllowBundle` of a batch."""

    def __init__(self, entries: EntryAnswers) -> None:
        self._entries = entries

    async def execute(
        self, allow: AllowBundle, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        """The answers in the order of the entries. What was kept and dropped is in the records of the entries.

        Raises `RequestRefused` if there are too many entries.
        """
        limits = self._entries.limits
        limits.check(len(allow.entries))
        ends_at = asyncio.get_running_loop().time() + limits.seconds
        bundle = BundleContext(request, access, grant, record, ends_at, list_urns(allow.entries))
        answers = await self._entries.answer_all(enumerate(allow.entries), bundle)
        return build_bundle_response("batch", [answers[index] for index in range(len(allow.entries))])
