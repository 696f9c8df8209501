"""Users, sessions, authorizations and the tokens issued for them, as the store keeps them."""

from dataclasses import dataclass, field

from gateway.oauth.client.client import Client
from gateway.oauth.launch_context import LaunchContext

# The provider of users who sign in here with a password.
LOCAL_PROVIDER = "local"


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in user. `fhir_user` is a relative reference, such as `Practitioner/123`.

    `provider` says who authenticated the user: `local`, the issuer of an OpenID provider, or a launcher. `generation`
    is that of the user's state at sign-in (`UserState`): what the user has signed in to ends when it changes. `roles`
    are those that rules about records may name.
    """

    subject: str
    name: str
    fhir_user: str | None = None
    provider: str = LOCAL_PROVIDER
    generation: str = ""
    roles: tuple[str, ...] = ()

    @property
    def patient(self) -> str | None:
        """The id of the user's own Patient resource, if the user is a patient."""
        resource_type, _, resource_id = (self.fhir_user or "").partition("/")
        return resource_id if resource_type == "Patient" else None


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. Times are in seconds since the epoch.

    `signed_in_at` is OpenID Connect's `auth_time`. `ends_at` is when it ends at the latest, however it is used.
    `provider_session` names the session at an OpenID provider that it began with: the issuer and the `sid`.
    """

    session_id: str
    user: User
    signed_in_at: float
    csrf: str
    ends_at: float
    provider_session: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a user granted to a client.

    `scope` is the `scope` of the token response (SC-32). `session_id` is set where refresh lasts only as long as the
    user's session (`online_access`). `user` is None for a backend service. Times are in seconds since the epoch.
    `purpose_of_use` is what the user named, a code of `smart_server.purposes_of_use`, or empty.
    """

    authorization_id: str
    client_id: str
    scope: str
    audience: str
    granted_at: float
    user: User | None = None
    context: LaunchContext = field(default_factory=LaunchContext)
    signed_in_at: float | None = None
    nonce: str | None = None
    session_id: str | None = None
    patient_name: str = ""
    purpose_of_use: str = ""

    def belongs_to(self, client: Client) -> bool:
        """Whether it was granted to this client, and not to another app that had the client_id before."""
        return self.client_id == client.client_id and self.granted_at >= client.registered_at


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """The authorization of a code, and what the token request must match (A-14).

    `session_id` is that of the session in which it was granted: the code ends with it.
    """

    authorization: Authorization
    redirect_uri: str
    code_challenge: str | None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. Its `scope` may be narrower than that of its authorization (RF-10).

    `certificate_thumbprint` is `x5t#S256` of the certificate that it is bound to (RFC 8705 3).
    """

    authorization_id: str
    scope: str
    issued_at: float
    expires_at: float
    certificate_thumbprint: str | None = None
