"""Problems in the description of another authorization server."""

from pathlib import Path

import pytest

from tests.settings.configuration import HTTPS, LEAST, in_file, problems

# Added to the least configuration, whose lines are 1 to 7: the text, and the only problem.
ADDED = {
    "launch without a place to send users to": (
        "authorization_server: {token_endpoint: https://a/t, capabilities: [launch-ehr]}",
        "8: authorization_server.authorization_endpoint: is required by the capabilities launch-ehr and "
        "launch-standalone",
    ),
    "an issuer without single sign-on": (
        "authorization_server: {token_endpoint: https://a/t, issuer: https://a}",
        "8: authorization_server.issuer: must be left out without the capability sso-openid-connect",
    ),
    "a capability made up": (
        "authorization_server: {token_endpoint: https://a/t, capabilities: [context-passthrough-banner]}",
        "8: authorization_server.capabilities: holds 'context-passthrough-banner', which is neither a capability of "
        "SMART nor a URI",
    ),
    "PKCE that protects nothing": (
        "authorization_server: {token_endpoint: https://a/t, code_challenge_methods_supported: [plain]}",
        "8: authorization_server.code_challenge_methods_supported[0]: must be 'S256'",
    ),
    "a token endpoint in the clear": (
        "authorization_server: {token_endpoint: http://a/t}",
        f"8: authorization_server.token_endpoint: {HTTPS}",
    ),
}


@pytest.mark.requirement("C-11", "C-12", "D-5", "D-7", "D-11")
@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_an_addition_is_refused_with_its_line_and_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [in_file(problem)]


@pytest.mark.requirement("D-12", "D-13", "D-14", "CA-1")
def test_asymmetric_clients_need_three_members(tmp_path: Path) -> None:
    text = "authorization_server: {token_endpoint: https://a/t, capabilities: [client-confidential-asymmetric]}\n"
    because = "because of the capability client-confidential-asymmetric"
    server = "gateway.yaml:8: authorization_server"
    assert problems(tmp_path, LEAST + text) == [
        f"{server}.token_endpoint_auth_methods_supported: must hold private_key_jwt, {because}",
        f"{server}.token_endpoint_auth_signing_alg_values_supported: must hold RS384 or ES384, {because}",
        f"{server}.scopes_supported: must not be empty, {because}",
    ]


@pytest.mark.requirement("D-5", "D-6")
def test_single_sign_on_needs_an_issuer_and_its_keys(tmp_path: Path) -> None:
    text = "authorization_server: {token_endpoint: https://a/t, capabilities: [sso-openid-connect]}\n"
    assert problems(tmp_path, LEAST + text) == [
        "gateway.yaml:8: authorization_server.issuer: is required by the capability sso-openid-connect",
        "gateway.yaml:8: authorization_server.jwks_uri: is required by the capability sso-openid-connect",
    ]
