"""What a user granted to a client, and the tokens that come of it: the values that the store keeps."""

from dataclasses import dataclass, field

from gateway.oauth.client import Client
from gateway.oauth.launch_context import LaunchContext

# Who vouches for a user that signs in here by a password.
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has signed in. `fhir_user` is a relative reference, such as `Practitioner/123`.

    `provider` names who vouches: `local`, the issuer of an OpenID provider, or the launcher of an EHR.
    """

    subject: str
    name: str
    fhir_user: str | None = None
    provider: str = LOCAL

    @property
    def patient(self) -> str | None:
        """The id of the user's own record where the user is a patient."""
        resource_type, _, resource_id = (self.fhir_user or "").partition("/")
        return resource_id if resource_type == "Patient" else None


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `signed_in_at` is in seconds since the epoch (OpenID Connect `auth_time`)."""

    session_id: str
    user: User
    signed_in_at: float
    csrf: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """One grant: whose, to whom, what, and where.

    `scope` is the truth of the token response (SC-32). `session_id` is set where refresh lasts only as long as the
    user's session (`online_access`). `user` is None for a backend service. Times are in seconds since the epoch.
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

    def is_of(self, client: Client) -> bool:
        """Whether it was granted to this client, and not to another app that had its name before."""
        return self.client_id == client.client_id and self.granted_at >= client.registered_at


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code stands for, bound to what the token request must repeat (A-14)."""

    authorization: Authorization
    redirect_uri: str
    code_challenge: str | None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token stands for; `scope` may be less than that of its authorization (RF-10)."""

    authorization_id: str
    scope: str
    issued_at: float
    expires_at: float
