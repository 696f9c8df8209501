"""The registrations of the client libraries, in addition to those of tests/smart_server/running_server.py."""

from dataclasses import dataclass
from typing import Any

from tests.servers.ports import free_port
from tests.smart_server.running_server import ASYMMETRIC_KEY, BACKEND_KEY, CALLBACK, SECRET, public_jwks

SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"
WRITING_SCOPE = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.cruds patient/Encounter.cruds"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of an app on a server and of an app in a browser."""

    app: int
    page: int

    @classmethod
    def free(cls) -> "Ports":
        """Two free ports."""
        return cls(free_port(), free_port())

    @property
    def app_origin(self) -> str:
        """The origin of the app on a server."""
        return f"http://127.0.0.1:{self.app}"

    @property
    def page_origin(self) -> str:
        """The origin of the app in a browser. Its host name differs from the gateway's, so that it is another site."""
        return f"http://localhost:{self.page}"


def register_clients(settings: dict[str, Any], ports: Ports) -> None:
    """Register the clients."""
    app = {"redirect_uris": [f"{ports.app_origin}/callback"], "launch_uris": [f"{ports.app_origin}/launch"]}
    pages = [f"{ports.page_origin}/{name}.html" for name in ("app", "landed", "writing")]
    page = {"redirect_uris": pages, "launch_uris": [f"{ports.page_origin}/launch.html"]}
    settings["smart_server"]["clients"] += [
        {"client_id": "js-public", "name": "An App on a Server", **app},
        {"client_id": "js-short", "name": "An App for Moments", **app, "access_token_seconds": 5},
        {"client_id": "js-symmetric", "name": "An App with a Secret", **app,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "js-asymmetric", "name": "An App with a Key", **app,
         "type": "confidential-asymmetric", "jwks": public_jwks(ASYMMETRIC_KEY)},
        {"client_id": "py-symmetric", "name": "An App in Python", "redirect_uris": [CALLBACK],
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "browser-app", "name": "Vital Signs in a Browser", **page,
         "purpose": "Draws blood pressure and weight over time, so that a change is seen early."},
        {"client_id": "house-browser-app", "name": "Our Own Page", **page, "skip_consent": True,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "secret-browser-app", "name": "A Page with a Server", "redirect_uris": pages,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "sekmet", "name": "Another Hospital", "type": "confidential-asymmetric",
         "grant_types": ["client_credentials"], "jwks": public_jwks(BACKEND_KEY), "scopes": "system/*.rs"},
    ]  # fmt: skip
