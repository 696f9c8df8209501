"""Keycloak for tests, which are skipped unless an environment variable enables them."""

import os

import pytest

from tests.servers.keycloak_server import start_keycloak
from tests.servers.process import NotAvailable, Server


def start_or_skip() -> Server:
    """A running Keycloak; for session fixtures of tests that are marked `keycloak`."""
    if os.environ.get("SMART_GATEWAY_KEYCLOAK") != "1":
        pytest.skip("Keycloak runs only with SMART_GATEWAY_KEYCLOAK=1 (make test-keycloak)")
    try:
        return start_keycloak()
    except NotAvailable as missing:
        pytest.skip(str(missing))
