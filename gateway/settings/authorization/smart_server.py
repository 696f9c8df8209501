"""Settings of the gateway's own authorization server: users, apps, launchers and lifetimes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FilePath, PlainSerializer

from gateway.settings.authorization.branding import Branding, PageLanguages
from gateway.settings.authorization.client_types import Scopes
from gateway.settings.authorization.clients import MAX_ACCESS_TOKEN_SECONDS, MAX_BACKEND_TOKEN_SECONDS, ClientEntry
from gateway.settings.authorization.rate_limits import RateLimits
from gateway.settings.enforcement.purposes_of_use import PurposeOfUse
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import (
    Argon2Hash,
    BaseUrl,
    Count,
    CountOrZero,
    Flag,
    Origin,
    Seconds,
    Secret,
    Text,
    Url,
    Word,
    to_plain_dict,
    to_read_only,
)

_FHIR_USER = re.compile(r"(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)/[A-Za-z0-9\-.]{1,64}")


def _check_fhir_user(value: str) -> str:
    if _FHIR_USER.fullmatch(value) is None:
        raise ValueError(
            "must be a Patient, Practitioner, PractitionerRole, RelatedPerson or Person, such as Practitioner/123"
        )
    return value


FhirUser = Annotated[str, AfterValidator(_check_fhir_user)]
UserType = Literal["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"]

# Everything that the proxy enforces. What an app gets of it, its registration and the user decide (edge case 6).
_USER_SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "Patient": "patient/*.cruds user/*.cruds",
        "RelatedPerson": "patient/*.cruds user/*.cruds",
        "Practitioner": "patient/*.cruds user/*.cruds",
        "PractitionerRole": "patient/*.cruds user/*.cruds",
    }
)


class Launcher(Section):
    """A system that starts apps for its users: an EHR, a portal."""

    client_id: Annotated[Word, Field(description="Its client id (HTTP Basic).")]
    client_secret: Annotated[Secret, Field(description="Its secret; 16 characters or more, except in development.")]
    vouches_for_users: Annotated[
        Flag,
        Field(
            description="Whether the user that it names is signed in without a login: for one launch, within a "
            "minute, in the browser that is sent to the `location` of the launch."
        ),
    ] = False


class LocalUserEntry(Section):
    """A user who signs in here with a password."""

    username: Annotated[Text, Field(max_length=100, description="The name to sign in with.")]
    name: Annotated[Text, Field(max_length=200, description="The name that pages show.")]
    password_hash: Annotated[
        Argon2Hash, Field(description="The argon2 hash of the password, as `users add` prints it.")
    ]
    fhir_user: Annotated[
        FhirUser | None,
        Field(
            description="The user's own resource on the FHIR server, such as `Practitioner/123`.",
        ),
    ] = None
    roles: Annotated[
        tuple[Text, ...], Field(description="The user's roles, for record_rules and smart_server.purposes_of_use.")
    ] = ()


class IdentityProvider(Section):
    """An OpenID provider where users sign in."""

    name: Annotated[Text, Field(description="Its name on the sign-in page.")]
    issuer: Annotated[Url, Field(description="Its issuer URL; its endpoints are discovered from there.")]
    client_id: Annotated[Text, Field(description="The gateway's client id there.")]
    client_secret: Annotated[Secret, Field(description="The gateway's client secret there.")]
    scopes: Annotated[Text, Field(description="The scopes to request.")] = "openid profile"
    name_claim: Annotated[Text, Field(description="The claim with the user's name.")] = "name"
    fhir_user_claim: Annotated[Text, Field(description="The claim with the user's own resource.")] = "fhirUser"
    roles_claim: Annotated[
        Text | None,
        Field(
            description="The claim of the id_token with the user's roles, such as `roles` or `realm_access.roles`; "
            "without it, users from there have none."
        ),
    ] = None


class Lifetimes(Section):
    """How long tokens, sessions and requests last, in seconds."""

    access_token_seconds: Annotated[
        Count,
        Field(le=MAX_ACCESS_TOKEN_SECONDS, description="Access tokens of apps; SMART recommends an hour at most."),
    ] = 3600
    backend_token_seconds: Annotated[
        Count,
        Field(
            le=MAX_BACKEND_TOKEN_SECONDS, description="Access tokens of backend services; SMART recommends 300 at most."
        ),
    ] = 300
    refresh_seconds: Annotated[Count, Field(description="Offline access, from its last use.")] = 90 * 86400
    refresh_grace_seconds: Annotated[
        Seconds,
        Field(le=60, description="How long a used refresh token may be sent again, in case the response was lost."),
    ] = 10.0
    session_seconds: Annotated[Count, Field(description="Browser sessions, from their last use.")] = 1800
    session_max_seconds: Annotated[
        Count, Field(le=30 * 86400, description="Browser sessions, from the sign-in, however much they are used.")
    ] = 12 * 3600
    code_seconds: Annotated[Count, Field(le=600, description="Authorization codes.")] = 60
    launch_seconds: Annotated[Count, Field(le=3600, description="Launches that wait for their app.")] = 300
    consent_page_seconds: Annotated[
        Count, Field(description="Authorization requests that wait for the user, from the last step.")
    ] = 900


class SmartServer(Section):
    """The gateway's own authorization server."""

    issuer: Annotated[
        BaseUrl | None, Field(description="Its base URL; without it, `/auth` on the host of public_base_url.")
    ] = None
    store: Annotated[
        Secret,
        Field(
            description="Where state is kept: `memory://` (one worker), `redis://`, `redis+sentinel://` or "
            "`redis+cluster://`; over TLS they begin with `rediss`."
        ),
    ] = "memory://"  # type: ignore[assignment]  # validated like any other value
    store_ca_file: Annotated[
        FilePath | None, Field(description="PEM file of the certificate authorities to trust for a store over TLS.")
    ] = None
    store_replicas: Annotated[
        CountOrZero | None,
        Field(
            description="How many replicas must have a write before it counts, so that a failover forgets no use of a "
            "code; by default 1 with Sentinel or a Cluster, and 0 else. While fewer are connected, sign-ins and token "
            "requests are answered 503.",
        ),
    ] = None
    signing_key_file: Annotated[
        FilePath | None,
        Field(description="The RSA key for id_tokens, JWK or PEM; without it, one is generated and kept in the store."),
    ] = None
    clients: Annotated[tuple[ClientEntry, ...], Field(description="The registered apps.")] = ()
    launchers: Annotated[tuple[Launcher, ...], Field(description="The systems that may start apps.")] = ()
    users: Annotated[tuple[LocalUserEntry, ...], Field(description="The users who sign in here.")] = ()
    identity_providers: Annotated[
        tuple[IdentityProvider, ...], Field(description="The OpenID providers where users sign in.")
    ] = ()
    user_scopes: Annotated[
        Annotated[Mapping[UserType, Scopes], AfterValidator(to_read_only), PlainSerializer(to_plain_dict)],
        Field(description="The most that a user may grant, by the type of the user's own resource."),
    ] = dict(_USER_SCOPES)  # type: ignore[assignment]  # its keys are those of the type
    purposes_of_use: Annotated[
        tuple[PurposeOfUse, ...],
        Field(
            description="The purposes of use that the consent page offers, where record_rules ask for one. Without "
            "any, it does not ask."
        ),
    ] = ()
    lifetimes: Annotated[Lifetimes, Field(description="How long tokens, sessions and requests last.")] = Lifetimes()
    frame_ancestors: Annotated[
        tuple[Origin, ...], Field(description="The origins that may show the pages in a frame, as an EHR does.")
    ] = ()
    languages: Annotated[PageLanguages, Field(description="The languages of the pages.")] = PageLanguages()
    branding: Annotated[Branding, Field(description="What the organisation adds to every page.")] = Branding()
    style_url: Annotated[
        Url | None,
        Field(
            description="The style that apps are told (`smart_style_url`), unless the launch names another; with it, "
            "discovery lists `context-style`. Apps fetch it from browsers, so it must allow every origin."
        ),
    ] = None
    admin_token: Annotated[
        Secret | None,
        Field(
            description="The bearer token of the admin API; without it there is none. 16 characters or more, except in "
            "development."
        ),
    ] = None
    registration: Annotated[
        Flag, Field(description="Whether anyone may register an app (RFC 7591); users must still consent to it.")
    ] = False
    task_launch: Annotated[
        Flag,
        Field(
            description="Whether launchers may send a Task that asks for a launch (SMART's profile `task-ehr-launch`) "
            "instead of an app and a context."
        ),
    ] = False
    sign_in_hint: Annotated[
        str, Field(max_length=300, description="A note on the sign-in page, such as whom to call.")
    ] = ""
    max_scopes: Annotated[
        Count,
        Field(
            le=1000,
            description="How many scopes a request may name; a scope counts once for each of its constraints. More are "
            "refused with `invalid_scope`.",
        ),
    ] = 300
    max_scope_bytes: Annotated[
        Count, Field(le=65536, description="How long the `scope` of a request may be; a longer one is refused unread.")
    ] = 32 * 1024
    login_attempts: Annotated[
        Count,
        Field(
            description="Wrong passwords in five minutes for one user from one address, or from one browser in which "
            "that user has signed in. After twice as many in a day from elsewhere, addresses and browsers where the "
            "user has never signed in have to wait between two tries, up to five minutes."
        ),
    ] = 10
    rate_limits: Annotated[RateLimits, Field(description="How often who may try.")] = RateLimits()

    @conflict_rule
    def _repeated_clients(self) -> Iterator[Conflict]:
        return _repeated("clients", self.clients, "client_id")

    @conflict_rule
    def _repeated_launchers(self) -> Iterator[Conflict]:
        return _repeated("launchers", self.launchers, "client_id")

    @conflict_rule
    def _repeated_users(self) -> Iterator[Conflict]:
        return _repeated("users", self.users, "username")

    @conflict_rule
    def _repeated_purposes(self) -> Iterator[Conflict]:
        return _repeated("purposes_of_use", self.purposes_of_use, "code")

    @conflict_rule
    def _repeated_providers(self) -> Iterator[Conflict]:
        return _repeated("identity_providers", self.identity_providers, "issuer")


def _repeated(name: str, entries: Sequence[Section], key: str) -> Iterator[Conflict]:
    """Entries that have the name of an earlier one."""
    values = [getattr(entry, key, None) for entry in entries]
    for index, value in enumerate(values):
        if value is not None and value in values[:index]:
            yield Conflict((name, index, key), f"is the same as {name}[{values.index(value)}].{key}")
