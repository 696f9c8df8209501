"""Authorization requests: no input causes a fault, and errors go to the app only if its redirect URI is valid."""

import contextlib
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth.authorization_request import AuthorizationRequest, read_authorization_request
from gateway.oauth.client.client import AuthenticationMethod, Client, GrantType
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.parameters import (
    MAX_PARAMETERS,
    MalformedParametersError,
    Parameters,
    collect_parameters,
    read_form,
    read_form_pairs,
    read_json,
)
from gateway.oauth.scope_limits import ScopeLimits
from tests.scopes.strategies import steady

BASE = "https://gw.example/fhir"
CALLBACK = "https://app.example/callback"
CLIENT = Client("app", "App", AuthenticationMethod.NONE, redirect_uris=(CALLBACK, f"{CALLBACK}?tenant=7"))
WHOLE = {
    "response_type": "code",
    "client_id": "app",
    "redirect_uri": CALLBACK,
    "scope": "launch/patient patient/Observation.rs",
    "state": "98wrghuwuogerg97",
    "aud": BASE,
    "code_challenge": "YPXe7B8ghKrj8PsT4L6ltupgI12NQJ5vblB07F4rGaw",
    "code_challenge_method": "S256",
}


def read_request(changes: dict[str, str | None], client: Client | None = CLIENT) -> AuthorizationRequest:
    """A valid request with changed parameters. None removes one."""
    told = {name: value for name, value in {**WHOLE, **changes}.items() if value is not None}
    return read_authorization_request(collect_parameters(told.items()), client, BASE, ScopeLimits())


def test_a_whole_request_is_read_as_it_stands() -> None:
    asked = read_request({"nonce": "n", "prompt": "login consent", "max_age": "60", "login_hint": "doctor"})
    assert asked.audience == BASE
    assert (asked.state, asked.nonce, asked.max_age, asked.login_hint) == ("98wrghuwuogerg97", "n", 60, "doctor")
    assert asked.prompt == {"login", "consent"}
    assert asked.scope == WHOLE["scope"]


REFUSED: dict[str, tuple[dict[str, str | None], ErrorCode]] = {
    "no response_type": ({"response_type": None}, ErrorCode.INVALID_REQUEST),
    "another response_type": ({"response_type": "token"}, ErrorCode.UNSUPPORTED_RESPONSE_TYPE),
    "no state": ({"state": None}, ErrorCode.INVALID_REQUEST),
    "no audience": ({"aud": None}, ErrorCode.INVALID_REQUEST),
    "another audience": ({"aud": "https://evil.example"}, ErrorCode.INVALID_REQUEST),
    "another resource": ({"resource": "https://evil.example"}, ErrorCode.INVALID_TARGET),
    "no scope": ({"scope": None}, ErrorCode.INVALID_REQUEST),
    "a scope that is none": ({"scope": "nonsense"}, ErrorCode.INVALID_SCOPE),
    "a tab in the scope": ({"scope": "openid\tfhirUser"}, ErrorCode.INVALID_SCOPE),
    "too many scopes": (
        {"scope": " ".join(f"__{index}" for index in range(ScopeLimits().max_scopes + 1))},
        ErrorCode.INVALID_SCOPE,
    ),
    "too long a scope string": ({"scope": "openid " * 20_000}, ErrorCode.INVALID_SCOPE),
    "the response by a form": ({"response_mode": "form_post"}, ErrorCode.INVALID_REQUEST),
    "the response in the fragment": ({"response_mode": "fragment"}, ErrorCode.INVALID_REQUEST),
    "an unknown response mode": ({"response_mode": "query "}, ErrorCode.INVALID_REQUEST),
    "plain PKCE": ({"code_challenge_method": "plain"}, ErrorCode.INVALID_REQUEST),
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, ErrorCode.INVALID_REQUEST),
    "launch without its scope": ({"launch": "x"}, ErrorCode.INVALID_REQUEST),
    "the scope without launch": ({"scope": "launch openid"}, ErrorCode.INVALID_REQUEST),
    "prompts that exclude each other": ({"prompt": "none consent"}, ErrorCode.INVALID_REQUEST),
    "a max_age in words": ({"max_age": "ten"}, ErrorCode.INVALID_REQUEST),
    "a max_age in other digits": ({"max_age": "٣"}, ErrorCode.INVALID_REQUEST),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_goes_to_the_app_with_its_state(changes: dict[str, str | None], code: ErrorCode) -> None:
    with pytest.raises(RedirectError) as caught:
        read_request(changes)
    assert caught.value.code is code
    assert caught.value.redirect_uri == CALLBACK
    assert caught.value.state == {**WHOLE, **changes}["state"]


@pytest.mark.requirement("A-11")
def test_a_client_of_another_grant_is_told_so() -> None:
    backend = replace(CLIENT, grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}))
    with pytest.raises(RedirectError) as caught:
        read_request({}, backend)
    assert caught.value.code is ErrorCode.UNAUTHORIZED_CLIENT


@pytest.mark.parametrize(
    ("changes", "client", "reason"),
    [
        ({"client_id": None}, None, "client_missing"),
        ({}, None, "client_unknown"),
        ({}, replace(CLIENT, disabled=True), "client_unknown"),
        ({"redirect_uri": None}, CLIENT, "redirect_uri_missing"),
        ({"redirect_uri": f"{CALLBACK}/"}, CLIENT, "redirect_uri_not_registered"),
        ({}, replace(CLIENT, redirect_uris=()), "redirect_uri_not_registered"),
    ],
)
def test_where_nobody_is_to_be_trusted_only_the_person_is_told(
    changes: dict[str, str | None], client: Client | None, reason: str
) -> None:
    with pytest.raises(PageError) as caught:
        read_request(changes, client)
    assert caught.value.reason == reason


_values = st.text() | st.sampled_from([*WHOLE.values(), "none", "launch", "openid launch", "", "\x00", "\ud800"])
_names = st.text(max_size=8) | st.sampled_from(
    [*WHOLE, "resource", "launch", "nonce", "prompt", "max_age", "login_hint"]
)


@pytest.mark.requirement("A-18")
@steady
@given(st.lists(st.tuples(_names, _values), max_size=20), st.booleans())
def test_no_request_breaks_the_reading_and_none_is_sent_to_a_stranger(
    pairs: list[tuple[str, str]], whole: bool
) -> None:
    given_pairs = [*WHOLE.items(), *pairs] if whole else pairs
    try:
        asked = read_authorization_request(collect_parameters(given_pairs), CLIENT, BASE, ScopeLimits())
    except PageError:
        return
    except RedirectError as error:
        assert error.redirect_uri in CLIENT.redirect_uris
        assert error.description.isascii()
        assert not set('"\\\r\n') & set(error.description)
        return
    assert asked.redirect_uri in CLIENT.redirect_uris
    assert asked.audience == BASE
    assert asked.code_challenge is not None
    assert asked.state


@pytest.mark.requirement("A-18", "edge-23")
@steady
@given(st.sampled_from(sorted(WHOLE)), _values)
def test_a_parameter_that_comes_twice_never_counts(name: str, value: str) -> None:
    for pairs in ([*WHOLE.items(), (name, value)], [(name, value), *WHOLE.items()]):
        with pytest.raises((PageError, RedirectError)) as caught:
            read_authorization_request(collect_parameters(pairs), CLIENT, BASE, ScopeLimits())
        error = caught.value
        if isinstance(error, PageError):
            assert error.reason == "parameter_repeated"
        else:
            assert isinstance(error, RedirectError)
            assert error.code is ErrorCode.INVALID_REQUEST


_PIECES = (
    *(b"%41", b"%", b"\\", b"\\x41", b"\\u00e4", b"\\N{DASH}", b"+", b"=", b"&", b"a", b"%C3%A4", b"%c3", b"%ff"),
    *(b"%00", b"\n", b"\x80", b"%5C", b"%5Cx41", b";", b"%2", b"%zz"),
)


@steady
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join))
def test_a_form_is_decoded_as_the_standard_library_does(text: bytes) -> None:
    try:
        expected = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", separator="&")
    except ValueError:
        with pytest.raises(MalformedParametersError):
            read_form_pairs(text)
    else:
        assert read_form_pairs(text) == expected


def test_a_form_with_more_lone_percent_signs_than_anybody_means_is_refused() -> None:
    assert read_form_pairs(b"a=" + b"%" * 100) == [("a", "%" * 100)]
    with pytest.raises(MalformedParametersError):
        read_form_pairs(b"a=" + b"%" * 101)


@steady
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_break_a_form(one: bytes, other: bytes) -> None:
    with contextlib.suppress(MalformedParametersError):
        read_form(one, other)


@steady
@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=20))
def test_a_form_is_read_back_as_it_was_written(values: dict[str, str]) -> None:
    told = {name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
            for name, value in values.items()}  # fmt: skip
    assert read_form(urlencode(told).encode()) == Parameters(told)
    assert read_json(told) == Parameters(told)


def test_more_parameters_than_anybody_needs_are_refused() -> None:
    with pytest.raises(MalformedParametersError):
        read_form("&".join(f"a{index}=1" for index in range(MAX_PARAMETERS + 1)).encode())
    half = "&".join(f"a{index}=1" for index in range(MAX_PARAMETERS)).encode()
    with pytest.raises(MalformedParametersError):
        read_form(half, b"b=1")


@pytest.mark.parametrize("value", [None, [], "x", 1, {"a": 1}, {"a": None}, {"a": ["x"]}])
def test_json_that_is_no_object_of_texts_is_refused(value: object) -> None:
    with pytest.raises(MalformedParametersError):
        read_json(value)
