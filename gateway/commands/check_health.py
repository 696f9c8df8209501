"""Asks the gateway of this machine for its health, as a container's health check does."""

import http.client
import ssl

from gateway.settings.model import Listen

_SECONDS = 5.0
# What listens on every address is reached by the loopback address.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here


def check_health(listen: Listen, path: str) -> tuple[bool, str]:
    """Whether the response is 200, and what it says in a line."""
    host = _LOOPBACK.get(listen.host, listen.host)
    connection = _connection(host, listen)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"The gateway does not answer on {host} port {listen.port}: {error}."
    finally:
        connection.close()
    return response.status == http.client.OK, text


def _connection(host: str, listen: Listen) -> http.client.HTTPConnection:
    """The certificate is not verified: it names the public host, and nothing secret is sent to this machine."""
    if listen.tls is None:
        return http.client.HTTPConnection(host, listen.port, timeout=_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, listen.port, timeout=_SECONDS, context=context)
