"""The authorization request, black-box: what is told to the app, what only to the person, and what goes on."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx2
import pytest

from tests.smart.app import App
from tests.smart.house import CALLBACK, House

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient patient/Observation.rs"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def ask(house: House, app: App, **changes: str | None) -> httpx2.Response:
    """The first answer to a request by GET, redirects not followed; a change to None leaves a parameter out."""
    whole = {**app.authorization_parameters(SCOPE), **changes}
    query = urlencode({name: value for name, value in whole.items() if value is not None})
    return await house.http.get(f"{house.issuer}/authorize?{query}")


async def send(house: House, content: str, query: str = "") -> httpx2.Response:
    """The first answer to a request by POST."""
    return await house.http.post(f"{house.issuer}/authorize{query}", content=content, headers=FORM)


def told(response: httpx2.Response) -> dict[str, str]:
    """What an error redirect tells the app, which must be at its own address."""
    assert response.status_code == 303, (response.status_code, response.text[:300])
    location = response.headers["location"]
    assert location.startswith(f"{CALLBACK}?"), location
    pairs = parse_qsl(urlsplit(location).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), "no parameter comes twice"
    assert "code" not in dict(pairs)
    return dict(pairs)


def assert_refused_on_a_page(response: httpx2.Response, reason: str) -> None:
    """A page for the person, without any redirect."""
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert reason in response.text


def assert_goes_on(house: House, response: httpx2.Response) -> None:
    """The request was taken and is now before the person."""
    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{house.issuer}/authorize/"), response.headers["location"]


# Told to the person alone.


@pytest.mark.requirement("A-3", "edge-11")
@pytest.mark.parametrize("client_id", ["nobody", "public-app ", "PUBLIC-APP", "public-app\n", "backend/../public-app"])
async def test_an_unknown_client_is_never_redirected(house: House, client_id: str) -> None:
    assert_refused_on_a_page(await ask(house, house.app(), client_id=client_id), "client_unknown")


@pytest.mark.requirement("A-3")
@pytest.mark.parametrize("client_id", [None, ""], ids=["absent", "empty"])
async def test_a_request_without_a_client_is_never_redirected(house: House, client_id: str | None) -> None:
    assert_refused_on_a_page(await ask(house, house.app(), client_id=client_id), "client_missing")


@pytest.mark.requirement("A-4", "edge-10")
@pytest.mark.parametrize("redirect_uri", [None, ""], ids=["absent", "empty"])
async def test_the_redirect_uri_is_needed_although_one_is_registered(house: House, redirect_uri: str | None) -> None:
    assert_refused_on_a_page(await ask(house, house.app(), redirect_uri=redirect_uri), "redirect_uri_missing")


@pytest.mark.requirement("A-4", "edge-9")
@pytest.mark.parametrize("redirect_uri", [f"{CALLBACK}/", f"{CALLBACK}?tenant=8", "https://app.example/Callback"])
async def test_a_redirect_uri_that_differs_is_never_redirected_to(house: House, redirect_uri: str) -> None:
    assert_refused_on_a_page(await ask(house, house.app(), redirect_uri=redirect_uri), "redirect_uri_not_registered")


@pytest.mark.requirement("A-18")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_repeated_client_or_redirect_uri_is_never_redirected(house: House, name: str) -> None:
    app = house.app()
    again = urlencode({name: app.authorization_parameters(SCOPE)[name]})
    assert_refused_on_a_page(await house.http.get(f"{app.authorization_url(SCOPE)}&{again}"), "parameter_repeated")


@pytest.mark.requirement("A-3", "A-18")
@pytest.mark.parametrize(
    "query",
    ["", "%ff", "client_id=%c3%28", "a=1&" * 300, "client_id=public-app&" + "x" * 60_000],
    ids=["no parameters", "a byte that is no UTF-8", "broken UTF-8 in a value", "too many parameters", "a long name"],
)
async def test_a_query_that_cannot_be_read_ends_on_a_page(house: House, query: str) -> None:
    response = await house.http.get(f"{house.issuer}/authorize?{query}")
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.requirement("A-1")
@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data", "text/plain", ""])
async def test_only_a_form_is_read_from_a_post(house: House, media_type: str) -> None:
    response = await house.http.post(
        f"{house.issuer}/authorize",
        content=urlencode(house.app().authorization_parameters(SCOPE)),
        headers={"content-type": media_type},
    )
    assert_refused_on_a_page(response, "form_malformed")


@pytest.mark.requirement("A-1")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_no_other_method_is_answered(house: House, method: str) -> None:
    response = await house.http.request(method, house.app().authorization_url(SCOPE))
    assert response.status_code == 405


# Told to the app.

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
async def test_what_is_missing_is_told_to_the_app(house: House, name: str, error: str, value: str | None) -> None:
    app = house.app()
    answer = told(await ask(house, app, **{name: value}))
    assert answer["error"] == error
    assert name in answer["error_description"] or name == "code_challenge_method"
    assert answer["iss"] == house.issuer
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
async def test_a_repeated_parameter_is_told_to_the_app(house: House, name: str, value: str) -> None:
    app = house.app()
    answer = told(await house.http.get(f"{app.authorization_url(SCOPE)}&{urlencode({name: value})}"))
    assert answer["error"] == "invalid_request"
    assert ("state" in answer) is (name != "state"), "of two states neither can be trusted"


@pytest.mark.requirement("A-18")
@pytest.mark.parametrize("name", ["resource", "launch", "nonce", "prompt", "max_age", "login_hint"])
async def test_an_optional_parameter_must_not_repeat_either(house: House, name: str) -> None:
    app = house.app()
    answer = told(await house.http.get(f"{app.authorization_url(SCOPE)}&{name}=1&{name}=1"))
    assert answer["error"] == "invalid_request"


@pytest.mark.requirement("A-2", "edge-20")
@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "code id_token", "none", "CODE", "code "])
async def test_the_only_response_type_is_code(house: House, response_type: str) -> None:
    assert told(await ask(house, house.app(), response_type=response_type))["error"] == "unsupported_response_type"


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
    house: House, client_id: str, changes: dict[str, str | None]
) -> None:
    assert told(await ask(house, house.app(client_id), **changes))["error"] == "invalid_request"


async def test_a_client_that_may_go_without_pkce_and_state_may_not_use_them_wrongly(house: House) -> None:
    app = house.app("old-app")
    without: dict[str, str | None] = {"state": None, "code_challenge": None, "code_challenge_method": None}
    assert_goes_on(house, await ask(house, app, **without))
    answer = told(await ask(house, app, **{**without, "code_challenge": "x" * 43}))
    assert answer["error"] == "invalid_request"
    assert told(await ask(house, app, code_challenge_method="plain"))["error"] == "invalid_request"


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
async def test_another_audience_never_gets_a_code(house: House, audience: str) -> None:
    host = urlsplit(house.base).netloc
    response = await ask(house, house.app(), aud=audience.format(base=house.base, host=host))
    assert told(response)["error"] == "invalid_request"


@pytest.mark.requirement("A-8", "edge-14")
@pytest.mark.parametrize("audience", ["{base}", "{base}/", "HTTP://{host}/fhir"], ids=["as is", "slash", "case"])
async def test_our_own_audience_is_known_in_its_spellings(house: House, audience: str) -> None:
    host = urlsplit(house.base).netloc
    assert_goes_on(house, await ask(house, house.app(), aud=audience.format(base=house.base, host=host)))


@pytest.mark.requirement("A-8", "edge-15")
async def test_resource_is_a_synonym_and_must_agree(house: House) -> None:
    app = house.app()
    assert_goes_on(house, await ask(house, app, aud=None, resource=house.base))
    assert_goes_on(house, await ask(house, app, resource=f"{house.base}/"))
    assert told(await ask(house, app, resource="https://gw.example/other"))["error"] == "invalid_target"
    assert told(await ask(house, app, aud=None, resource="https://gw.example/other"))["error"] == "invalid_target"
    assert (
        told(await ask(house, app, aud="https://gw.example/other", resource=house.base))["error"] == "invalid_request"
    )


@pytest.mark.requirement("edge-92", "SC-6")
@pytest.mark.parametrize(
    "scope",
    ["patient/Observation.sr", "nonsense", "patient/Foo.rs", "openid\tfhirUser", "openid\nfhirUser", "openid\x00",
     'patient/Observation.rs?category=a"b', "patient/Observation.rs?category=é", "system/*.rs", "launch/patient"],
)  # fmt: skip
async def test_a_scope_of_which_nothing_can_be_granted_is_told_to_the_app(house: House, scope: str) -> None:
    app, person = house.app(), house.person()
    page = await person.go(app.authorization_url(scope))
    if page.left_for is None:
        page = await person.sign_in(page)
    assert page.parameters["error"] == "invalid_scope"
    assert page.parameters["state"] == app.state


@pytest.mark.requirement("SC-6")
async def test_an_undefined_scope_is_left_out_unless_the_client_is_strict(house: House) -> None:
    scope = "patient/Observation.rs patient/Observation.sr whatever"
    assert_goes_on(house, await ask(house, house.app(), scope=scope))
    assert told(await ask(house, house.app("strict-app"), scope=scope))["error"] == "invalid_scope"
    answer = await house.tokens(house.app(), scope)
    assert set(answer["scope"].split()) == {"launch/patient", "patient/Observation.rs"}


@pytest.mark.parametrize("changes", [{"state": "s" * 4096}, {"nonce": "n" * 1024}])
async def test_long_but_honest_values_go_on(house: House, changes: dict[str, str]) -> None:
    assert_goes_on(house, await ask(house, house.app(), **changes))


@pytest.mark.parametrize(("name", "length"), [("state", 4097), ("nonce", 1025)])
async def test_values_that_would_only_be_carried_about_have_an_end(house: House, name: str, length: int) -> None:
    assert told(await ask(house, house.app(), **{name: "x" * length}))["error"] == "invalid_request"


@pytest.mark.requirement("A-21")
@pytest.mark.parametrize(
    ("name", "value"),
    [("prompt", "none login"), ("prompt", "create"), ("max_age", "-1"), ("max_age", "1.5"), ("max_age", "soon"),
     ("max_age", "9" * 12)],
)  # fmt: skip
async def test_values_of_openid_that_cannot_be_are_told_to_the_app(house: House, name: str, value: str) -> None:
    assert told(await ask(house, house.app(), **{name: value}))["error"] == "invalid_request"


@pytest.mark.requirement("A-16", "A-18")
async def test_unknown_and_unsupported_parameters_do_no_harm(house: House) -> None:
    extra = "&display=popup&ui_locales=de&acr_values=1&id_token_hint=x&claims=%7B%7D&request=x&foo=1&foo=2"
    assert_goes_on(house, await house.http.get(house.app().authorization_url(SCOPE) + extra))


# POST is as good as GET.


@pytest.mark.requirement("A-1", "edge-7", "edge-8", "C-2")
async def test_a_request_by_post_without_any_cookie_leads_to_a_code(house: House) -> None:
    app, person = house.app(), house.person()
    page = await person.go(f"{house.issuer}/authorize", data=list(app.authorization_parameters(SCOPE).items()))
    page = await person.sign_in(page)
    page = await person.agree(await person.choose(page, "pat-a"))
    assert page.parameters["state"] == app.state
    answer = await app.exchange(page.parameters["code"])
    assert answer.json()["patient"] == "pat-a"


@pytest.mark.requirement("edge-8", "A-17")
async def test_a_request_from_another_site_finds_the_session_on_its_way_on(house: House) -> None:
    """A browser withholds lax cookies from a cross-site POST, and sends them to the redirect's GET."""
    app, person = house.app(), house.person()
    await house.consent_page(app, SCOPE, person=person)
    kept = person.client.cookies
    person.client.cookies = httpx2.Cookies()
    first = await person.client.post(
        f"{house.issuer}/authorize", data=app.authorization_parameters(SCOPE), headers={"origin": "https://app.example"}
    )
    kept.update(person.client.cookies)
    person.client.cookies = kept
    page = await person.go(first.headers["location"])
    assert any(form.action.endswith("/patient") for form in page.forms), "nobody has to sign in again"


@pytest.mark.requirement("edge-7", "A-18")
async def test_query_and_body_together_count_as_one_request(house: House) -> None:
    app = house.app()
    parameters = app.authorization_parameters(SCOPE)
    state = parameters.pop("state")
    assert_goes_on(house, await send(house, urlencode(parameters), f"?{urlencode({'state': state})}"))
    whole = urlencode({**parameters, "state": state})
    answer = told(await send(house, whole, f"?{urlencode({'state': state})}"))
    assert answer["error"] == "invalid_request"


LONG = " ".join(
    f"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|made-up-{index}"
    for index in range(200)
)


@pytest.mark.requirement("A-22", "edge-24", "SC-35")
async def test_two_hundred_long_scopes_travel_by_post_and_are_agreed_to(house: House) -> None:
    app, person = house.app(), house.person()
    assert len(LONG) > 20_000
    page = await person.go(f"{house.issuer}/authorize", data=list(app.authorization_parameters(LONG).items()))
    page = await person.choose(await person.sign_in(page), "pat-a")
    page = await person.agree(page)
    assert "scope" not in page.parameters
    answer = (await app.exchange(page.parameters["code"])).json()
    assert set(answer["scope"].split()) == {"launch/patient", *LONG.split()}


@pytest.mark.requirement("A-22")
async def test_more_scopes_than_a_person_can_read_are_refused(house: House) -> None:
    scope = " ".join(f"patient/Observation.rs?code=x|{index}" for index in range(301))
    response = await send(house, urlencode(house.app().authorization_parameters(scope)))
    assert told(response)["error"] == "invalid_scope"


# The answer.

STATES = {
    "reserved characters": "a+b&c=é",
    "percent signs": "%2B%26",
    "spaces at both ends": " state ",
    "a line break": "a\r\nSet-Cookie: x=1",
    "a null byte": "a\x00b",
    "markup": "<script>alert(1)</script>",
    "SQL": "'; DROP TABLE codes; --",
    "a plane beyond": "𝄞",
    "4096 characters": "x" * 4096,
    "a word that means nothing here": "None",
}


@pytest.mark.requirement("A-7", "A-12", "edge-17")
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_the_state_comes_back_as_it_went(house: House, state: str) -> None:
    refused = await ask(house, house.app(), state=state, response_type="token")
    assert told(refused)["state"] == state
    app = house.app(state=state)
    await house.code(app, "openid")


@pytest.mark.requirement("edge-17")
@pytest.mark.parametrize("spelt", ["a%2Bb%26c%3D%C3%A9", "a%2bb%26c%3d%c3%a9"])
async def test_the_state_is_byte_exact_however_it_was_escaped(house: House, spelt: str) -> None:
    app = house.app()
    url = app.authorization_url(SCOPE, state=None, response_type="token")
    response = await house.http.get(f"{url}&state={spelt}")
    assert f"state={quote('a+b&c=é', safe='')}" in response.headers["location"]


@pytest.mark.requirement("A-19", "edge-21")
async def test_a_redirect_uri_with_a_query_keeps_it(house: House) -> None:
    app = house.app(redirect_uri=f"{CALLBACK}?tenant=7")
    person, page = await house.consent_page(app, SCOPE)
    page = await person.agree(page)
    assert page.left_for is not None
    assert page.left_for.startswith(f"{CALLBACK}?tenant=7&code=")
    assert {"tenant", "code", "state", "iss"} == set(page.parameters)
    refused = await ask(house, app, response_type="token")
    assert refused.headers["location"].startswith(f"{CALLBACK}?tenant=7&error=unsupported_response_type&")


@pytest.mark.requirement("A-11", "A-12", "A-20", "edge-22", "SC-35")
async def test_the_answer_is_a_code_the_state_and_the_issuer_by_303(house: House) -> None:
    app = house.app()
    person, page = await house.consent_page(app, SCOPE)
    page = await person.agree(page)
    assert page.status == 303
    assert set(page.parameters) == {"code", "state", "iss"}
    assert page.parameters["iss"] == house.issuer
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    code = page.parameters["code"]
    assert len(code) >= 43
    assert quote(code, safe="-._~") == code, "apps send it as it is (clients-and-suites.md 5.1)"


@pytest.mark.requirement("A-14", "T-2", "T-5")
@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": f"{CALLBACK}?tenant=7"},
        {"redirect_uri": None},
        {"code_verifier": "x" * 43},
        {"code_verifier": None},
        {"client_id": "other-app"},
    ],
    ids=["another redirect URI", "no redirect URI", "another verifier", "no verifier", "another client"],
)
async def test_a_code_is_bound_to_its_request(house: House, changes: dict[str, str | None]) -> None:
    app = house.app()
    response = await app.exchange(await house.code(app, "openid"), **changes)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_grant", "invalid_request"}


@pytest.mark.requirement("A-13")
async def test_a_code_lasts_a_minute(house: House) -> None:
    told_of = house.gateway._settings.smart_server
    assert told_of is not None
    assert told_of.lifetimes.code_seconds == 60


@pytest.mark.requirement("A-15", "A-11")
async def test_a_denial_is_told_to_the_app(house: House) -> None:
    app = house.app()
    person, page = await house.consent_page(app, SCOPE)
    page = await person.send(page, "/consent", decision="deny")
    assert page.parameters["error"] == "access_denied"
    assert page.parameters["state"] == app.state


@pytest.mark.requirement("A-20", "edge-22")
@pytest.mark.parametrize("path", ["/authorize/", "/token/", "/apps/", "/manage/", "/sign-in/", "/launch/"])
async def test_no_address_redirects_to_add_or_drop_a_slash(house: House, path: str) -> None:
    for method in ("GET", "POST"):
        response = await house.http.request(method, f"{house.issuer}{path}")
        assert not response.is_redirect
        assert response.status_code in {404, 405, 400}
