"""The record of one request: what the metrics and the audit log report of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from gateway.fhir.request import interaction as fhir
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome


class RefusedToken(Protocol):
    """What a token says that was not accepted. `TokenClaims` of `gateway.credentials` is one."""

    @property
    def issuer(self) -> str | None:
        """Its `iss`."""

    @property
    def audience(self) -> Sequence[str]:
        """Its `aud`."""

    @property
    def client_id(self) -> str | None:
        """Its client."""


_NO_COUNTS: Mapping[str, int] = MappingProxyType({})


# A Struct, because one is created per request: a dataclass of this size takes three times as long.
class RequestRecord(msgspec.Struct, gc=False):
    """One request, its decision and its response.

    The proxy fills it in while it handles the request, and hands it to `Telemetry.add_request` when the response has
    been sent. From then on nothing changes it. It holds facts only: never a token or a body. The ids and parameter
    values in `interaction` are not reported.

    `arrived_at` is in seconds since the epoch. `duration_seconds` is the time until the response had been sent,
    `upstream_seconds` the part of it that was spent waiting for the FHIR server, or None if no request was sent there.
    `refused_token` is set if a token was refused that could be read.
    `access` and `interaction` are None if the request was refused before they were known. `token_cached` is None if no
    token was looked up. `kept` is the number of resources in the response; `dropped` and `narrowing_misses` count
    those that were removed, by resource type, and `withheld` those of them that only a record rule hides. `overtaken`
    says that somebody else wrote between the check of a write and the write, which the operator accepts.
    `configuration` is the version of the configuration that decided, if there is one, and `trace_id` the trace that the
    request is part of (W3C Trace Context). `written_patients` are the ids
    of the patients whom the content of a write, or what it replaces, names, where AuditEvents are kept.
    `shadow` is what enforcement would have made of a request in shadow mode, which was not held to it.
    `decision` is what the policy said before the FHIR server was asked, permitted or why not, under `grant`; both are
    None if that was not decided.
    `response_bytes` is 0 if the body was streamed. `status` and `reason` stay as they are here only if the gateway
    fails before it has a response.
    """

    method: str
    decision_id: str
    request_id: str
    arrived_at: float
    remote_address: str | None = None
    token_cached: bool | None = None
    access: Access | None = None
    refused_token: RefusedToken | None = None
    interaction: fhir.RecordedInteraction | None = None
    status: int = 500
    reason: Reason = Reason.INTERNAL_ERROR
    kept: int = 0
    dropped: Mapping[str, int] = _NO_COUNTS
    narrowing_misses: Mapping[str, int] = _NO_COUNTS
    withheld: Mapping[str, int] = _NO_COUNTS
    overtaken: bool = False
    response_bytes: int = 0
    streamed: bool = False
    duration_seconds: float = 0.0
    upstream_seconds: float | None = None
    configuration: str = ""
    written_patients: tuple[str, ...] = ()
    trace_id: str = ""
    shadow: ShadowOutcome | None = None
    decision: Reason | None = None
    grant: Grant | None = None
