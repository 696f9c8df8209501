"""What pages say about where an app is, and about an app that nobody has reviewed."""

from dataclasses import replace

import pytest

from gateway.oauth.client.client import AuthenticationMethod, Client
from gateway.smart_server.app_origin import app_warning, app_warning_with_origin, describe_recipient

CLIENT = Client("app", "Heartline", AuthenticationMethod.NONE)
RECIPIENTS = {
    "https://heart.example/callback?x=1": "heart.example",
    "https://heart.example:8443/callback": "heart.example",
    "http://127.0.0.1:4000/callback": "an app on this device (127.0.0.1:4000)",
    "http://[::1]/callback": "an app on this device ([::1])",
    "com.example.heart:/callback": "an app on this device (com.example.heart)",
}


@pytest.mark.parametrize(("redirect_uri", "expected"), RECIPIENTS.items(), ids=RECIPIENTS)
def test_data_goes_to_the_host_of_the_redirect_uri(redirect_uri: str, expected: str) -> None:
    assert describe_recipient(redirect_uri) == expected


def test_only_an_app_that_registered_itself_has_a_warning_and_it_names_the_host() -> None:
    assert app_warning(CLIENT) == app_warning_with_origin(CLIENT, "https://heart.example/") == ""
    own = replace(CLIENT, self_registered=True)
    assert app_warning(own) in app_warning_with_origin(own, "https://heart.example/")
    assert app_warning_with_origin(own, "https://heart.example/").endswith("heart.example")
