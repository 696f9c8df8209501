"""Errors in an authorization request that the app gets by a redirect."""

from urllib.parse import urlencode, urlsplit

import pytest

from tests.smart_server.authorize_requests import (
    SCOPE,
    assert_accepted,
    error_parameters,
    get_authorize,
)
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

LEFT_OUT = [
    ("response_type", "invalid_request"),
    ("state", "invalid_request"),
    ("aud", "invalid_request"),
    ("scope", "invalid_request"),
    ("code_challenge", "invalid_request"),
    ("code_challenge_method", "invalid_request"),
]


@pytest.mark.requirement("A-2", "A-6", "A-7", "A-8", "A-10", "edge-12", "edge-16", "edge-18", "edge-19")
@pytest.mark.parametrize(("name", "error"), LEFT_OUT, ids=[f"without {name}" for name, _ in LEFT_OUT])
@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
async def test_what_is_missing_is_told_to_the_app(
    server: RunningServer, name: str, error: str, value: str | None
) -> None:
    app = server.app()
    answer = error_parameters(await get_authorize(server, app, **{name: value}))
    assert answer["error"] == error
    assert name in answer["error_description"] or name == "code_challenge_method"
    assert answer["iss"] == server.issuer
    if name == "state":
        assert "state" not in answer
    else:
        assert answer["state"] == app.state


@pytest.mark.requirement("A-18", "edge-23")
@pytest.mark.parametrize(
    ("name", "value"),
    [("scope", "openid"), ("state", "other"), ("aud", "https://other.example/fhir"), ("response_type", "code"),
     ("code_challenge", "x" * 43), ("code_challenge_method", "plain")],
)  # fmt: skip
async def test_a_repeated_parameter_is_told_to_the_app(server: RunningServer, name: str, value: str) -> None:
    app = server.app()
    answer = error_parameters(await server.http.get(f"{app.authorization_url(SCOPE)}&{urlencode({name: value})}"))
    assert answer["error"] == "invalid_request"
    assert ("state" in answer) is (name != "state"), "of two states neither can be trusted"


@pytest.mark.requirement("A-18")
@pytest.mark.parametrize("name", ["resource", "launch", "nonce", "prompt", "max_age", "login_hint"])
async def test_an_optional_parameter_must_not_repeat_either(server: RunningServer, name: str) -> None:
    app = server.app()
    answer = error_parameters(await server.http.get(f"{app.authorization_url(SCOPE)}&{name}=1&{name}=1"))
    assert answer["error"] == "invalid_request"


@pytest.mark.requirement("A-2", "edge-20")
@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "code id_token", "none", "CODE", "code "])
async def test_the_only_response_type_is_code(server: RunningServer, response_type: str) -> None:
    assert (
        error_parameters(await get_authorize(server, server.app(), response_type=response_type))["error"]
        == "unsupported_response_type"
    )


@pytest.mark.requirement("A-10", "PK-1", "PK-2", "edge-18", "edge-19")
@pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example", "asymmetric-app"])
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": "x" * 42},
        {"code_challenge": "x" * 44},
        {"code_challenge": "x" * 42 + "="},
        {"code_challenge": "x" * 42 + "+"},
    ],
    ids=["plain", "s256 in lower case", "no method", "no challenge", "neither", "short", "long", "padded", "base64"],
)
async def test_every_kind_of_client_needs_an_s256_challenge(
    server: RunningServer, client_id: str, changes: dict[str, str | None]
) -> None:
    assert error_parameters(await get_authorize(server, server.app(client_id), **changes))["error"] == "invalid_request"


async def test_a_client_that_may_go_without_pkce_and_state_may_not_use_them_wrongly(server: RunningServer) -> None:
    app = server.app("old-app")
    without: dict[str, str | None] = {"state": None, "code_challenge": None, "code_challenge_method": None}
    assert_accepted(server, await get_authorize(server, app, **without))
    answer = error_parameters(await get_authorize(server, app, **{**without, "code_challenge": "x" * 43}))
    assert answer["error"] == "invalid_request"
    assert (
        error_parameters(await get_authorize(server, app, code_challenge_method="plain"))["error"] == "invalid_request"
    )


FOREIGN = {
    "another server": "https://evil.example/fhir",
    "a path below": "{base}/Patient",
    "a longer name": "{base}x",
    "two slashes": "{base}//",
    "another scheme": "https://{host}/fhir",
    "a query": "{base}?x",
    "an empty query": "{base}?",
    "an empty fragment": "{base}#",
    "a user name": "http://user@{host}/fhir",
    "port zero": "http://127.0.0.1:0/fhir",
    "a case that counts": "http://{host}/FHIR",
    "an escape": "http://{host}/%66hir",
    "a dot segment": "http://{host}/x/../fhir",
    "a space before": " {base}",
    "a line break after": "{base}\n",
    "a backslash": "http:\\\\{host}\\fhir",
    "the issuer": "http://{host}/auth",
    "no URL": "fhir",
    "an impossible port": "http://127.0.0.1:99999/fhir",
    "a broken address": "http://[::1/fhir",
    "two audiences": "{base} https://evil.example/fhir",
}


@pytest.mark.requirement("A-8", "A-9", "edge-13", "edge-14", "suite-A1")
@pytest.mark.parametrize("audience", FOREIGN.values(), ids=FOREIGN)
async def test_another_audience_never_gets_a_code(server: RunningServer, audience: str) -> None:
    host = urlsplit(server.base).netloc
    response = await get_authorize(server, server.app(), aud=audience.format(base=server.base, host=host))
    assert error_parameters(response)["error"] == "invalid_request"


@pytest.mark.requirement("A-8", "edge-14")
@pytest.mark.parametrize("audience", ["{base}", "{base}/", "HTTP://{host}/fhir"], ids=["as is", "slash", "case"])
async def test_our_own_audience_is_known_in_its_spellings(server: RunningServer, audience: str) -> None:
    host = urlsplit(server.base).netloc
    assert_accepted(server, await get_authorize(server, server.app(), aud=audience.format(base=server.base, host=host)))


@pytest.mark.requirement("A-8", "edge-15")
async def test_resource_is_a_synonym_and_must_agree(server: RunningServer) -> None:
    app = server.app()
    assert_accepted(server, await get_authorize(server, app, aud=None, resource=server.base))
    assert_accepted(server, await get_authorize(server, app, resource=f"{server.base}/"))
    assert (
        error_parameters(await get_authorize(server, app, resource="https://gw.example/other"))["error"]
        == "invalid_target"
    )
    assert (
        error_parameters(await get_authorize(server, app, aud=None, resource="https://gw.example/other"))["error"]
        == "invalid_target"
    )
    assert (
        error_parameters(await get_authorize(server, app, aud="https://gw.example/other", resource=server.base))[
            "error"
        ]
        == "invalid_request"
    )


@pytest.mark.requirement("edge-92", "SC-6")
@pytest.mark.parametrize(
    "scope",
    ["patient/Observation.sr", "nonsense", "patient/Foo.rs", "openid\tfhirUser", "openid\nfhirUser", "openid\x00",
     'patient/Observation.rs?category=a"b', "patient/Observation.rs?category=é", "system/*.rs", "launch/patient"],
)  # fmt: skip
async def test_a_scope_of_which_nothing_can_be_granted_is_told_to_the_app(server: RunningServer, scope: str) -> None:
    app, person = server.app(), server.person()
    page = await person.open(app.authorization_url(scope))
    if page.left_for is None:
        page = await person.sign_in(page)
    assert page.parameters["error"] == "invalid_scope"
    assert page.parameters["state"] == app.state


@pytest.mark.requirement("SC-6")
async def test_an_undefined_scope_is_left_out_unless_the_client_is_strict(server: RunningServer) -> None:
    scope = "patient/Observation.rs patient/Observation.sr whatever"
    assert_accepted(server, await get_authorize(server, server.app(), scope=scope))
    assert (
        error_parameters(await get_authorize(server, server.app("strict-app"), scope=scope))["error"] == "invalid_scope"
    )
    answer = await server.request_tokens(server.app(), scope)
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Observation.rs"}


@pytest.mark.parametrize("changes", [{"state": "s" * 4096}, {"nonce": "n" * 1024}])
async def test_long_but_honest_values_go_on(server: RunningServer, changes: dict[str, str]) -> None:
    assert_accepted(server, await get_authorize(server, server.app(), **changes))


@pytest.mark.parametrize(("name", "length"), [("state", 4097), ("nonce", 1025)])
async def test_values_that_would_only_be_carried_about_have_an_end(
    server: RunningServer, name: str, length: int
) -> None:
    assert (
        error_parameters(await get_authorize(server, server.app(), **{name: "x" * length}))["error"]
        == "invalid_request"
    )


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize(
    ("name", "value"),
    [("prompt", "none login"), ("prompt", "create"), ("max_age", "-1"), ("max_age", "1.5"), ("max_age", "soon"),
     ("max_age", "9" * 12)],
)  # fmt: skip
async def test_values_of_openid_that_cannot_be_are_told_to_the_app(
    server: RunningServer, name: str, value: str
) -> None:
    assert error_parameters(await get_authorize(server, server.app(), **{name: value}))["error"] == "invalid_request"


@pytest.mark.requirement("A-16", "A-18")
async def test_unknown_and_unsupported_parameters_do_no_harm(server: RunningServer) -> None:
    extra = "&display=popup&ui_locales=de&acr_values=1&id_token_hint=x&claims=%7B%7D&request=x&foo=1&foo=2"
    assert_accepted(server, await server.http.get(server.app().authorization_url(SCOPE) + extra))
