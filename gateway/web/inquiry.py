"""Questions of the gateway's own, asked as somebody: decided and judged like any app's, so that no page shows more."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.fhir.address import address_of
from gateway.fhir.query import encode_pairs
from gateway.policy.access import Access
from gateway.web.fhir import Parts, parse
from gateway.web.reading import Asked
from gateway.web.trace import Trace


class Inquirer:
    """Asks the FHIR server under an `Access`, by the same way as the proxy."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def get(self, access: Access, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Mapping[str, Any]:
        """The answer to a GET, as far as `access` permits it. Raises `Refused`."""
        now, trace = time.time(), Trace(b"smart-server")
        query = encode_pairs(tuple(pairs)).encode()
        interaction = parse("GET", path.encode(), query, {}, b"", self._parts.extra_parameters)
        grants = self._parts.grants
        allow, grant = await grants.decide(interaction, access, grants.of(access), trace, now)
        asked = Asked(interaction, address_of(interaction), grant, access, trace, now, b"application/fhir+json")
        answer = await self._parts.keeper.answer(allow, asked)
        body = orjson.loads(answer.body) if isinstance(answer.body, bytes) else None
        return body if isinstance(body, dict) else {}
