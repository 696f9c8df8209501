"""Events of the SMART server that are counted and audited: sign-ins, grants, tokens, clients and keys."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

MAX_CLAIM_LENGTH = 200
"""Characters of a name that whoever sends a request may choose freely."""


class EventKind(StrEnum):
    """The kinds of event. The values are stable, so that dashboards and auditors can rely on them."""

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
    CLIENT_UPDATED = "client_updated"
    CLIENT_APPROVED = "client_approved"
    CLIENT_DISABLED = "client_disabled"
    CLIENT_REMOVED = "client_removed"
    USER_ADDED = "user_added"
    USER_UPDATED = "user_updated"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_REMOVED = "user_removed"
    PASSWORD_SET = "password_set"
    USER_ENDED = "user_ended"
    SESSION_ENDED = "session_ended"
    PROVIDER_LOGOUT = "provider_logout"
    PROVIDER_LOGOUT_REFUSED = "provider_logout_refused"
    KEYS_ROTATED = "keys_rotated"
    CONFIGURATION_ORDERED = "configuration_ordered"
    CONFIGURATION_CHANGED = "configuration_changed"
    ADMIN_SIGNED_IN = "admin_signed_in"
    ADMIN_SIGN_IN_FAILED = "admin_sign_in_failed"
    ADMIN_SIGNED_OUT = "admin_signed_out"
    AUTHORIZATION_REFUSED = "authorization_refused"
    INTROSPECTION_REFUSED = "introspection_refused"
    REVOCATION_REFUSED = "revocation_refused"
    REGISTRATION_REFUSED = "registration_refused"
    LAUNCH_REFUSED = "launch_refused"
    ADMIN_REFUSED = "admin_refused"
    REQUEST_REFUSED = "request_refused"
    RATE_LIMITED = "rate_limited"


REQUESTS_IN_PROGRESS = "requests_in_progress"
"""The reason of a refusal where an address has too many requests in progress, or all together have."""


LIMITS = (
    "user_guesses", "client_guesses", "launcher_guesses", "operator_guesses", "administrator_guesses", "waiting_bytes",
    "failed_grants", "token_requests", "authorization_requests", "launches", "registrations",
    REQUESTS_IN_PROGRESS,
)  # fmt: skip
"""The reasons of `RATE_LIMITED`: all limits that can be reached."""


CLIENT_KEYS_UNAVAILABLE = "client_keys_unavailable"
"""The reason of a refusal where the keys of a client could not be fetched from its `jwks_uri`."""


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event. It never holds a token, a code, a password or the `state` of an app.

    `at` is in seconds since the epoch. `reason` is a stable code, such as an OAuth error code or a grant type. In a
    refusal nothing is proven: `client_id`, `issuer`, `audience` and `typed_user` are what the request says, cut to
    `MAX_CLAIM_LENGTH` characters. They are for the audit log alone. `configuration` is the version of the configuration
    under which it happened. `administrator` is who did it, where somebody did at the admin port.
    """

    kind: EventKind
    at: float
    client_id: str | None = None
    subject: str | None = None
    patient: str | None = None
    scope: str | None = None
    authorization_id: str | None = None
    reason: str | None = None
    issuer: str | None = None
    audience: str | None = None
    typed_user: str | None = None
    remote_address: str | None = None
    purpose_of_use: str | None = None
    administrator: str | None = None
    configuration: str | None = None


class EventText(msgspec.Struct, frozen=True):
    """What the documentation says of a kind. `fields` are those that its audit lines may have beside the address."""

    meaning: str
    fields: tuple[str, ...]


_GRANT = ("client_id", "subject", "patient", "scope", "authorization_id")
_CLIENT, _USER = ("client_id",), ("subject",)
_REFUSED = ("client_id", "reason")
_REFUSED_SIGN_IN = ("typed_user", "issuer", *_REFUSED)

EVENT_TEXTS: Mapping[EventKind, EventText] = {
    EventKind.SIGNED_IN: EventText("a user signed in; the reason is the provider", (*_USER, "reason")),
    EventKind.SIGN_IN_FAILED: EventText("a password or a login at a provider was not accepted", _REFUSED_SIGN_IN),
    EventKind.SIGNED_OUT: EventText("a user signed out", _USER),
    EventKind.LAUNCHED: EventText(
        "a launcher, the app gallery or an administrator opened an app", (*_GRANT, "administrator", "reason")
    ),
    EventKind.GRANTED: EventText(
        "an app got a code; `without_pkce` is a reason", (*_GRANT, "purpose_of_use", "reason")
    ),
    EventKind.DENIED: EventText("the user declined to sign in or to share", (*_USER, "issuer", "audience", *_REFUSED)),
    EventKind.TOKEN_ISSUED: EventText("an app got an access token", _GRANT),
    EventKind.TOKEN_REFUSED: EventText(
        "`/token` refused; the reason is the OAuth error, or `client_keys_unavailable`", _REFUSED
    ),
    EventKind.REFRESH_REUSED: EventText(
        "a refresh token came twice, and the grant ended", (*_CLIENT, "authorization_id")
    ),
    EventKind.REVOKED: EventText(
        "a grant ended; the reason says by whom",
        (*_CLIENT, *_USER, "patient", "authorization_id", "administrator", "reason"),
    ),
    EventKind.CLIENT_REGISTERED: EventText("an app was registered", (*_CLIENT, "administrator")),
    EventKind.CLIENT_UPDATED: EventText(
        "the registration of an app was changed; `secret` is a reason", (*_CLIENT, "administrator", "reason")
    ),
    EventKind.CLIENT_APPROVED: EventText(
        "an operator reviewed an app that had registered itself", (*_CLIENT, "administrator")
    ),
    EventKind.CLIENT_DISABLED: EventText("an app was disabled", (*_CLIENT, "administrator")),
    EventKind.CLIENT_REMOVED: EventText(
        "an app was removed; the reason says by whom", (*_CLIENT, "administrator", "reason")
    ),
    EventKind.USER_ADDED: EventText("a user was added", (*_USER, "administrator")),
    EventKind.USER_UPDATED: EventText("name, resource or roles of a user were changed", (*_USER, "administrator")),
    EventKind.USER_DISABLED: EventText("a user was disabled", (*_USER, "administrator", "reason")),
    EventKind.USER_ENABLED: EventText("a user was enabled", (*_USER, "administrator")),
    EventKind.USER_REMOVED: EventText("a user was removed", (*_USER, "administrator", "reason")),
    EventKind.PASSWORD_SET: EventText("a user has a new password", (*_USER, "administrator", "reason")),
    EventKind.USER_ENDED: EventText(
        "all access of a user ended; the reason says by whom", (*_USER, "administrator", "reason")
    ),
    EventKind.SESSION_ENDED: EventText("one session of a user was ended", (*_USER, "administrator", "reason")),
    EventKind.PROVIDER_LOGOUT: EventText("a provider ended sessions; the reason is its issuer", (*_USER, "reason")),
    EventKind.PROVIDER_LOGOUT_REFUSED: EventText("a logout token of a provider was not accepted", ("issuer", "reason")),
    EventKind.KEYS_ROTATED: EventText("there is a new signing key", ("administrator", "reason")),
    EventKind.CONFIGURATION_ORDERED: EventText(
        "an administrator ordered another configuration; the reason is `reload` or `roll_back`",
        ("administrator", "reason"),
    ),
    EventKind.CONFIGURATION_CHANGED: EventText(
        "another configuration is in force in this process; the reason is what brought it", ("reason",)
    ),
    EventKind.ADMIN_SIGNED_IN: EventText(
        "somebody signed in at the admin port; the reason is `account` or the provider", ("administrator", "reason")
    ),
    EventKind.ADMIN_SIGN_IN_FAILED: EventText(
        "a sign-in at the admin port was not accepted", ("typed_user", "issuer", "reason")
    ),
    EventKind.ADMIN_SIGNED_OUT: EventText("an administrator signed out", ("administrator",)),
    EventKind.AUTHORIZATION_REFUSED: EventText(
        "a request at `/authorize`, or a step of it, ended with a page or with an error for the app; the reason is "
        "that of the page, or the OAuth error",
        ("audience", *_REFUSED_SIGN_IN),
    ),
    EventKind.INTROSPECTION_REFUSED: EventText("`/introspect` refused its caller or the request", _REFUSED),
    EventKind.REVOCATION_REFUSED: EventText("`/revoke` refused its caller or the request", _REFUSED),
    EventKind.REGISTRATION_REFUSED: EventText("an app could not register itself", _REFUSED),
    EventKind.LAUNCH_REFUSED: EventText(
        "a launcher, a launch or the app gallery was refused; `client_id` is the launcher's", _REFUSED
    ),
    EventKind.ADMIN_REFUSED: EventText(
        "the proof of an administrator was missing or wrong, or what was asked for was refused",
        ("administrator", "reason"),
    ),
    EventKind.REQUEST_REFUSED: EventText("another page or document was refused", _REFUSED),
    EventKind.RATE_LIMITED: EventText(
        "a limit on tries or requests was reached; the reason names it", ("audience", *_REFUSED_SIGN_IN)
    ),
}

REFUSALS = frozenset(
    {
        EventKind.SIGN_IN_FAILED,
        EventKind.DENIED,
        EventKind.TOKEN_REFUSED,
        EventKind.PROVIDER_LOGOUT_REFUSED,
        EventKind.AUTHORIZATION_REFUSED,
        EventKind.INTROSPECTION_REFUSED,
        EventKind.REVOCATION_REFUSED,
        EventKind.REGISTRATION_REFUSED,
        EventKind.LAUNCH_REFUSED,
        EventKind.ADMIN_SIGN_IN_FAILED,
        EventKind.ADMIN_REFUSED,
        EventKind.REQUEST_REFUSED,
        EventKind.RATE_LIMITED,
    }
)
"""The kinds that say that a request was refused. A request has one of them at most."""
