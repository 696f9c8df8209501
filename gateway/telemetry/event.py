"""What telemetry is told of the SMART server: who signed in, what was granted, which tokens came and went."""

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    """What happened. The values are stable: dashboards and auditors may rely on them."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    LAUNCHED = "launched"
    GRANTED = "granted"
    DENIED = "denied"
    TOKEN_ISSUED = "token_issued"
    TOKEN_REFUSED = "token_refused"
    REFRESH_REUSED = "refresh_reused"
    REVOKED = "revoked"
    CLIENT_REGISTERED = "client_registered"
    CLIENT_DISABLED = "client_disabled"
    USER_ADDED = "user_added"
    KEYS_ROTATED = "keys_rotated"


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One of them: never a token, a code, a password or the state of an app.

    `at` is in seconds since the epoch. `reason` is a stable word, such as an OAuth error code or a grant type.
    """

    kind: EventKind
    at: float
    client_id: str | None = None
    subject: str | None = None
    patient: str | None = None
    scope: str | None = None
    authorization_id: str | None = None
    reason: str | None = None
    remote_address: str | None = None
