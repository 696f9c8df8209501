"""canaille in its own process and environment: an OpenID provider in Python, its state in SQLite.

Arguments: port, client id, client secret, redirect URI, the users as JSON, and a file for its database.
"""

import json
import sys

from canaille import create_app  # type: ignore[import-not-found]  # it lives in an environment of its own
from canaille.app import models  # type: ignore[import-not-found]
from canaille.backends import Backend  # type: ignore[import-not-found]
from joserfc.jwk import RSAKey


def main(port: str, client_id: str, client_secret: str, redirect_uri: str, users: str, database: str) -> None:
    """Serve until the process ends. The claim `website` has the FHIR user: canaille supports no custom claims."""
    key = RSAKey.generate_key(2048, auto_kid=True, parameters={"use": "sig", "alg": "RS256"})
    settings = {
        "SECRET_KEY": "a key for tests",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        # Its store in plain memory mixes up the consents and codes of several users.
        "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{database}", "AUTO_MIGRATE": True},
        "CANAILLE_OIDC": {
            "TRUSTED_DOMAINS": [],  # so that consent is asked for
            "ACTIVE_JWKS": [key.as_dict(private=True)],
            "USERINFO_MAPPING": {"WEBSITE": "{{ user.employee_number or '' }}"},
        },
    }
    application = create_app(settings, env_file=None)
    with application.app_context(), Backend.instance.session():
        for user in json.loads(users):
            Backend.instance.save(models.User(**user))
        client = models.Client(
            client_id=client_id,
            client_secret=client_secret,
            client_name="The Gateway",
            redirect_uris=[redirect_uri],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
    application.run("127.0.0.1", int(port), threaded=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
