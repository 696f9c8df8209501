"""The clients that the real libraries are registered as, beside those of tests/smart/house.py."""

from dataclasses import dataclass
from typing import Any

from tests.servers.process import free_port
from tests.smart.house import ASYMMETRIC_KEY, BACKEND_KEY, CALLBACK, SECRET, jwks

SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the apps listen: one on a server, one that is a page in a browser."""

    app: int
    page: int

    @classmethod
    def free(cls) -> "Ports":
        """Two ports that nobody listens on."""
        return cls(free_port(), free_port())

    @property
    def app_origin(self) -> str:
        """The app's own address."""
        return f"http://127.0.0.1:{self.app}"

    @property
    def page_origin(self) -> str:
        """The page's. Another host name than the gateway's, so that it is another site to a browser."""
        return f"http://localhost:{self.page}"


def with_clients(settings: dict[str, Any], ports: Ports) -> None:
    """Register the clients."""
    app = {"redirect_uris": [f"{ports.app_origin}/callback"], "launch_uris": [f"{ports.app_origin}/launch"]}
    pages = [f"{ports.page_origin}/app.html", f"{ports.page_origin}/landed.html"]
    page = {"redirect_uris": pages, "launch_uris": [f"{ports.page_origin}/launch.html"]}
    settings["smart_server"]["clients"] += [
        {"client_id": "js-public", "name": "An App on a Server", **app},
        {"client_id": "js-short", "name": "An App for Moments", **app, "access_token_seconds": 5},
        {"client_id": "js-symmetric", "name": "An App with a Secret", **app,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "js-asymmetric", "name": "An App with a Key", **app,
         "type": "confidential-asymmetric", "jwks": jwks(ASYMMETRIC_KEY)},
        {"client_id": "py-symmetric", "name": "An App in Python", "redirect_uris": [CALLBACK],
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "browser-app", "name": "Vital Signs in a Browser", **page,
         "purpose": "Draws blood pressure and weight over time, so that a change is seen early."},
        {"client_id": "house-browser-app", "name": "Our Own Page", **page, "skip_consent": True,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "secret-browser-app", "name": "A Page with a Server", "redirect_uris": pages,
         "type": "confidential-symmetric", "client_secret": SECRET},
        {"client_id": "sekmet", "name": "Another Hospital", "type": "confidential-asymmetric",
         "grant_types": ["client_credentials"], "jwks": jwks(BACKEND_KEY), "scopes": "system/*.rs"},
    ]  # fmt: skip
