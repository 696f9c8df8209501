"""The leak corpus, tokens and scopes: forged tokens, constraints, and combinations of scopes.

The number in a test's name is the number of the line in the corpus. Where a correct server would hide the fault, the
hostile server or a lenient one is behind the gateway.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from gateway.credentials.development_key import load_or_create_key, sign_access_token
from tests.proxy.leaked_marks import (
    find_leaks,
    ids_in,
    is_refused,
    link_of,
    resources_in,
    shows_only_patient_a,
)
from tests.proxy.leaks.leak_gateways import (
    LABORATORY,
    OBSERVATIONS,
    OWN_OBSERVATIONS,
    RESTRICTED,
    VITAL_SIGNS,
    WHOLE,
    LeakGateways,
)
from tests.proxy.running_gateway import ISSUER, RunningGateway
from tests.servers.hostile import Mode

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.requirement("SC-23")
async def test_leak_16_a_constraint_that_cannot_be_evaluated_grants_nothing(gateway: RunningGateway) -> None:
    for scope in ("patient/Observation.rs?unknown=x", "patient/Observation.rs?code:in=urn:x", "patient/*.rs?unknown=x"):
        for path in ("/Observation", "/Observation/pat-a-smoking", "/Observation/_history"):
            response = await gateway.request(path, scope)
            assert (response.status_code, find_leaks(response)) == (403, [])
    beside = await gateway.request("/Observation?_count=100", f"patient/Observation.rs?unknown=x {LABORATORY}")
    assert categories(beside) == {"laboratory"}


def categories(response: httpx2.Response) -> set[str]:
    """The categories of the returned Observations."""
    assert shows_only_patient_a(response)
    return {
        observation["category"][0]["coding"][0]["code"]
        for observation in resources_in(response)
        if "category" in observation
    }


@pytest.mark.requirement("SC-13", "SC-17", "SC-19")
async def test_leak_17_two_constrained_scopes_for_a_type_are_or_ed(gateway: RunningGateway) -> None:
    for scope in (f"{LABORATORY} {VITAL_SIGNS}", f"{VITAL_SIGNS} {LABORATORY}"):
        assert categories(await gateway.request("/Observation?_count=100", scope)) == {"laboratory", "vital-signs"}
        assert (await gateway.request("/Observation/pat-a-observation-1", scope)).status_code == 200
        assert (await gateway.request("/Observation/pat-a-observation-6", scope)).status_code == 200
        assert is_refused(await gateway.request("/Observation/pat-a-smoking", scope), 404, "not_found")
    narrowed = await gateway.request("/Observation?_count=100&category=laboratory", f"{LABORATORY} {VITAL_SIGNS}")
    assert categories(narrowed) == {"laboratory"}


@pytest.mark.requirement("SC-15", "SC-16")
async def test_leak_18_units_are_or_ed_in_any_order_and_lend_each_other_nothing(gateway: RunningGateway) -> None:
    orders = [f"{RESTRICTED} {LABORATORY}", f"{LABORATORY} {RESTRICTED}"]
    first, other = [await gateway.request("/Observation?_count=100", scope) for scope in orders]
    assert ids_in(first) == ids_in(other) > {"Observation/pat-a-restricted"}
    assert categories(first) == categories(other) == {"laboratory"}
    for scope in (f"{RESTRICTED} {OBSERVATIONS}", f"{OBSERVATIONS} {RESTRICTED}"):
        assert ids_in(await gateway.request("/Observation?_count=100", scope)) >= OWN_OBSERVATIONS
    writer = f"{LABORATORY} patient/Observation.c"
    assert categories(await gateway.request("/Observation?_count=100", writer)) == {"laboratory"}
    included = await gateway.request("/Observation?_include=Observation:subject", f"{OBSERVATIONS} patient/Patient.c")
    assert shows_only_patient_a(included)
    assert ids_in(included, "include") == set()


def encode_part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forge_tokens(gateway: RunningGateway) -> dict[str, tuple[str, str]]:
    """Invalid tokens, each with the reason of its refusal."""
    key = load_or_create_key(gateway.key_file)
    assert isinstance(key, ECKey)
    good = {"iss": ISSUER, "aud": gateway.base_url, "sub": "x", "client_id": "app", "scope": WHOLE, "patient": "pat-a"}
    claims = {**good, "exp": int(time.time()) + 600}
    other = ECKey.generate_key("P-256", {"kid": key.kid or ""})
    unsigned = f"{encode_part({'alg': 'none', 'typ': 'at+jwt'})}.{encode_part(claims)}"
    symmetric = f"{encode_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid})}.{encode_part(claims)}"
    tag = hmac.new(key.as_pem(private=False), symmetric.encode(), hashlib.sha256).digest()
    head, _, signature = sign_access_token(key, claims).split(".")
    return {
        "for another audience": (
            sign_access_token(key, {**claims, "aud": "https://other.example"}),
            "token_audience_wrong",
        ),
        "without a signature": (f"{unsigned}.", "token_algorithm_refused"),
        "signed by the public key as a secret": (
            f"{symmetric}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}",
            "token_algorithm_refused",
        ),
        "of another issuer with the same kid": (
            sign_access_token(other, {**claims, "iss": "https://other.example"}),
            "token_issuer_unknown",
        ),
        "signed by another key with the same kid": (sign_access_token(other, claims), "token_signature_invalid"),
        "expired": (sign_access_token(key, {**claims, "exp": int(time.time()) - 3600}), "token_expired"),
        "with another patient put in": (
            f"{head}.{encode_part({**claims, 'patient': 'pat-b'})}.{signature}",
            "token_signature_invalid",
        ),
    }


@pytest.mark.requirement("BS-13")
async def test_leak_24_a_token_that_is_not_good_opens_nothing(gateway: RunningGateway) -> None:
    for kind, (token, reason) in forge_tokens(gateway).items():
        for path in ("/Patient/pat-a", "/Observation", "/?_page=abc"):
            response = await gateway.request(path, None, headers={"authorization": f"Bearer {token}"})
            assert is_refused(response, 401, reason), kind


async def test_leak_24_an_open_page_ends_with_the_token(gateway: RunningGateway) -> None:
    following = (link_of(await gateway.request("/Observation?_count=5"), "next") or "").removeprefix(gateway.base_url)
    assert (await gateway.request(following)).status_code == 200
    expired = await gateway.request(following, claims={"exp": int(time.time()) - 3600})
    assert is_refused(expired, 401, "token_expired")
    assert is_refused(await gateway.request(following, OBSERVATIONS), 404, "page_unknown")


async def test_leak_29_what_the_check_needs_is_asked_for_even_where_the_client_wants_less(
    gateways: LeakGateways,
) -> None:
    gateway = gateways.sekmet
    for query in ("_elements=status", "_elements=id,status", "_summary=text", "_summary=true", "_summary=data"):
        found = await gateway.request(f"/Observation?_count=100&{query}", LABORATORY)
        assert shows_only_patient_a(found)
        assert len(resources_in(found)) == 6
        assert (await gateway.request(f"/Observation/pat-a-observation-1?{query}", LABORATORY)).status_code == 200
        for hidden in ("pat-a-smoking", "pat-b-observation-1"):
            assert is_refused(await gateway.request(f"/Observation/{hidden}?{query}", LABORATORY), 404, "not_found")
        stripped = gateways.by_mode[Mode.STRIPPED_SUBJECT]
        assert is_refused(await stripped.request(f"/Observation/a-1?{query}"), 404, "not_found")
        assert shows_only_patient_a(await stripped.request(f"/Observation?{query}"))
