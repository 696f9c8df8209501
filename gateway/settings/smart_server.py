"""Settings of the gateway's own authorization server: people, apps, launchers, and how long things last."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FilePath, PlainSerializer

from gateway.settings.clients import ClientEntry, Scopes
from gateway.settings.section import Conflict, Section
from gateway.settings.values import BaseUrl, Count, Flag, Origin, Seconds, Secret, Text, Url, Word, plain, read_only

UserType = Literal["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"]

# Reading alone: what the proxy refuses for now must not be promised (edge case 6).
_USER_SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "Patient": "patient/*.rs user/*.rs",
        "RelatedPerson": "patient/*.rs user/*.rs",
        "Practitioner": "patient/*.rs user/*.rs",
        "PractitionerRole": "patient/*.rs user/*.rs",
    }
)


class Launcher(Section):
    """A system that starts apps for its users: an EHR, a portal."""

    client_id: Annotated[Word, Field(description="The name it authenticates by (HTTP Basic).")]
    client_secret: Annotated[Secret, Field(description="Its secret.")]
    vouches_for_users: Annotated[
        Flag,
        Field(
            description="Whether the user it names needs no login of their own, for one launch within a minute, in the "
            "browser that is sent to the `location` of the launch."
        ),
    ] = False


class LocalUserEntry(Section):
    """Somebody who signs in here with a password."""

    username: Annotated[Text, Field(max_length=100, description="The name to sign in by.")]
    name: Annotated[Text, Field(max_length=200, description="The name that pages show.")]
    password_hash: Annotated[Text, Field(description="The argon2 hash of the password, as `users add` prints it.")]
    fhir_user: Annotated[
        str | None,
        Field(
            pattern=r"^(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)/[A-Za-z0-9\-.]{1,64}$",
            description="The user's own resource on the FHIR server, such as `Practitioner/123`.",
        ),
    ] = None


class IdentityProvider(Section):
    """An OpenID provider where users sign in."""

    name: Annotated[Text, Field(description="What the sign-in page calls it.")]
    issuer: Annotated[Url, Field(description="Its issuer; its endpoints are found from there.")]
    client_id: Annotated[Text, Field(description="The gateway's client id there.")]
    client_secret: Annotated[Secret, Field(description="The gateway's client secret there.")]
    scopes: Annotated[Text, Field(description="What to ask for.")] = "openid profile"
    name_claim: Annotated[Text, Field(description="The claim with the user's name.")] = "name"
    fhir_user_claim: Annotated[Text, Field(description="The claim with the user's own resource.")] = "fhirUser"


class Lifetimes(Section):
    """How long things last, in seconds."""

    access_token_seconds: Annotated[
        Count, Field(le=86400, description="Access tokens of apps; SMART recommends an hour at most.")
    ] = 3600
    backend_token_seconds: Annotated[
        Count, Field(le=3600, description="Access tokens of backend services; SMART recommends 300 at most.")
    ] = 300
    refresh_seconds: Annotated[Count, Field(description="Offline access, from its last use.")] = 90 * 86400
    refresh_grace_seconds: Annotated[
        Seconds, Field(le=60, description="How long a refresh token may be sent again whose answer was lost.")
    ] = 10.0
    session_seconds: Annotated[Count, Field(description="A signed-in browser, from its last use.")] = 1800
    code_seconds: Annotated[Count, Field(le=600, description="Authorization codes.")] = 60
    launch_seconds: Annotated[Count, Field(le=3600, description="A launch that waits for its app.")] = 300
    consent_page_seconds: Annotated[
        Count, Field(description="A request that waits for its user, from the last step.")
    ] = 900


class SmartServer(Section):
    """The gateway's own authorization server."""

    issuer: Annotated[
        BaseUrl | None, Field(description="Its base URL; without it, `/auth` on the host of public_base_url.")
    ] = None
    store: Annotated[
        Secret,
        Field(
            description="Where state is kept: `memory://` (one worker), `redis://`, `rediss://`, `redis+sentinel://` "
            "or `redis+cluster://`."
        ),
    ] = "memory://"  # type: ignore[assignment]  # validated like any other value
    store_ca_file: Annotated[
        FilePath | None, Field(description="PEM file of the authorities of a `rediss://` store.")
    ] = None
    signing_key_file: Annotated[
        FilePath | None,
        Field(description="The RSA key for id_tokens, JWK or PEM; without it one is made and kept in the store."),
    ] = None
    clients: Annotated[tuple[ClientEntry, ...], Field(description="The apps.")] = ()
    launchers: Annotated[tuple[Launcher, ...], Field(description="The systems that may start apps.")] = ()
    users: Annotated[tuple[LocalUserEntry, ...], Field(description="The users who sign in here.")] = ()
    identity_providers: Annotated[
        tuple[IdentityProvider, ...], Field(description="The OpenID providers where users sign in.")
    ] = ()
    user_scopes: Annotated[
        Annotated[Mapping[UserType, Scopes], AfterValidator(read_only), PlainSerializer(plain)],
        Field(description="The most that a user may grant, by the type of the user's own resource."),
    ] = dict(_USER_SCOPES)  # type: ignore[assignment]  # its keys are those of the type
    lifetimes: Annotated[Lifetimes, Field(description="How long things last.")] = Lifetimes()
    frame_ancestors: Annotated[
        tuple[Origin, ...], Field(description="The origins that may show the pages in a frame, as an EHR does.")
    ] = ()
    admin_token: Annotated[
        Secret | None, Field(description="The bearer token of the admin API; without it there is none.")
    ] = None
    registration: Annotated[
        Flag, Field(description="Whether anybody may register an app (RFC 7591), which users are still asked about.")
    ] = False
    sign_in_hint: Annotated[
        str, Field(max_length=300, description="A note on the sign-in page, such as whom to call.")
    ] = ""
    login_attempts: Annotated[
        Count,
        Field(
            description="How many passwords may be tried for one user in five minutes; ten times as many may fail from "
            "one address."
        ),
    ] = 10

    def conflicts(self) -> Iterator[Conflict]:
        """Names that stand twice, and users that nobody can become."""
        for name, key in (("clients", "client_id"), ("launchers", "client_id"), ("users", "username"),
                          ("identity_providers", "issuer")):  # fmt: skip
            values = [getattr(one, key) for one in getattr(self, name)]
            for index, value in enumerate(values):
                if value in values[:index]:
                    yield Conflict((name, index, key), f"is the same as {name}[{values.index(value)}].{key}")
