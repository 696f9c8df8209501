"""`/metadata`: the upstream's CapabilityStatement with our security section, kept for a while (enforcement.md 5)."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.fhir.capability_statement import NotACapabilityStatementError, public_statement
from gateway.policy.decision import Send
from gateway.policy.reasons import Reason
from gateway.web.answer import Answer, Refused, fhir_answer
from gateway.web.fetch import FhirServer
from gateway.web.trace import Trace

# A statement of 1.5 MB that takes seconds to make (hapi.md) is asked for again after this many seconds.
_LIFETIME = 300


class Metadata:
    """Answers `/metadata` for anyone, token or not (checklist BS-12)."""

    def __init__(
        self,
        server: FhirServer,
        *,
        public_base: str,
        oauth_uris: Mapping[str, str],
        learn: Callable[[Any], None],
    ) -> None:
        """`learn` is given the upstream's own statement each time it is fetched."""
        self._server = server
        self._learn = learn
        self._public_base = public_base
        self._oauth_uris = oauth_uris
        self._body = b""
        self._expires_at = 0.0

    async def answer(self, trace: Trace, now: float) -> Answer:
        """The statement. `now` is in seconds since the epoch. Raises `Refused` where the upstream has none."""
        if now >= self._expires_at:
            self._body = await self._made(trace)
            self._expires_at = now + _LIFETIME
        return fhir_answer(self._body)

    async def _made(self, trace: Trace) -> bytes:
        fetched = await self._server.fetch(Send("/metadata"), trace)
        try:
            document = orjson.loads(fetched.body)
            statement = public_statement(document, public_base=self._public_base, oauth_uris=self._oauth_uris)
        except (ValueError, RecursionError, NotACapabilityStatementError) as error:
            raise Refused(Reason.UPSTREAM_MALFORMED) from error
        self._learn(document)
        return orjson.dumps(statement)
