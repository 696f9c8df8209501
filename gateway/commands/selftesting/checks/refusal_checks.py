"""What must be refused to everybody: requests without a token, forged tokens, and what is not public."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from gateway.commands.selftesting.check_results import CheckError, CheckResults
from gateway.commands.selftesting.smart_app import Endpoints
from gateway.commands.selftesting.web import Answer, Web

FAMILY = "refusals"
_PROTECTED = ("/Patient?_count=1", "/Patient/selftest-unknown", "/Observation/_history?_count=1", "/?_getpages=a1b2")
_REMEDY = "Requests reach the FHIR server without the gateway's checks: see what stands before and beside it."


def check_refusals(results: CheckResults, web: Web, base: str, endpoints: Endpoints | None, admin_url: str) -> None:
    """Check that nothing opens without a good token."""
    with results.check(FAMILY, "a request without a token is 401, with a challenge and nothing else", _REMEDY):
        for path in _PROTECTED:
            answer = web.request("GET", base + path)
            _check_refused(answer, None)
    for kind, token in _forged_tokens(web, base, endpoints):
        with results.check(FAMILY, f"a token is refused that is {kind}", _REMEDY):
            for path in _PROTECTED[:2]:
                answer = web.request("GET", base + path, headers={"authorization": f"Bearer {token}"})
                _check_refused(answer, 'error="invalid_token"')
    with results.check(FAMILY, "credentials count nowhere but in the Authorization header, as a bearer token"):
        for path, headers in (
            ("/Patient?_count=1", {"authorization": f"Basic {base64.b64encode(b'a:b').decode()}"}),
            ("/Patient?_count=1", {"x-access-token": "a1b2", "cookie": "access_token=a1b2"}),
            ("/Patient?_count=1&access_token=a1b2", {}),
        ):
            answer = web.request("GET", base + path, headers=headers)
            _check_refused(answer, None)
    with results.check(FAMILY, "the metrics are not published", "Publish the port of `listen` alone."):
        parts = urlsplit(base)
        for url in (f"{parts.scheme}://{parts.netloc}/metrics", f"{base}/metrics"):
            answer = web.request("GET", url)
            if "smart_gateway_" in answer.text:
                raise CheckError(f"they are shown, with the status {answer.status}", sent=answer.sent)
    if endpoints is None:
        return
    with results.check(FAMILY, "an address below the issuer that is not published is 404"):
        answer = web.request("GET", f"{endpoints.issuer}/selftest-{secrets.token_hex(8)}")
        if answer.status != 404:
            raise CheckError(f"the status is {answer.status}", sent=answer.sent)
    with results.check(FAMILY, "the admin API opens by its own token alone"):
        for headers in ({}, {"authorization": "Bearer a1b2"}):
            answer = web.request("GET", f"{admin_url}/clients", headers=headers)
            if answer.status not in {401, 403, 404}:
                raise CheckError(f"the status is {answer.status}", sent=answer.sent)


def _check_refused(answer: Answer, challenge: str | None) -> None:
    found = answer.headers.get("www-authenticate", "")
    if answer.status != 401:
        raise CheckError(f"the status is {answer.status}", sent=answer.sent)
    if not found.lower().startswith("bearer"):
        raise CheckError("there is no challenge `WWW-Authenticate: Bearer`", sent=answer.sent)
    if challenge is not None and challenge not in found:
        raise CheckError(f"the challenge does not say {challenge}", sent=answer.sent)
    if answer.member("resourceType") not in {None, "OperationOutcome"}:
        raise CheckError("the refusal shows a resource", sent=answer.sent)


def _forged_tokens(web: Web, base: str, endpoints: Endpoints | None) -> Iterator[tuple[str, str]]:
    """Tokens that are not good, with what they are."""
    issuer = endpoints.issuer if endpoints is not None else "https://selftest.invalid"
    published = _published_key(web, endpoints)
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": base,
        "sub": "selftest",
        "client_id": "selftest",
        "scope": "system/*.cruds patient/*.cruds",
        "patient": "selftest",
        "iat": now,
        "exp": now + 600,
        "jti": secrets.token_hex(16),
    }
    kid = str(published.get("kid", "selftest"))
    own = RSAKey.generate_key(2048, parameters={"kid": kid})

    def signed(**changes: object) -> str:
        return jwt.encode({"alg": "RS256", "kid": kid, "typ": "at+jwt"}, {**claims, **changes}, own)

    yield "no token at all", "a1b2"
    yield "made up", f"sga_{secrets.token_urlsafe(32)}"
    yield "not signed (alg none)", f"{_unsigned({'alg': 'none', 'typ': 'at+jwt'}, claims)}."
    yield "signed by somebody else with the published key id", signed()
    yield "of another issuer", signed(iss="https://selftest.invalid")
    yield "for another audience", signed(aud="https://selftest.invalid/fhir")
    yield "expired", signed(exp=now - 3600)
    if published:
        head = _unsigned({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims)
        for form, secret in _public_forms(published):
            tag = base64.urlsafe_b64encode(hmac.new(secret, head.encode(), hashlib.sha256).digest())
            yield f"signed by the public key as a secret ({form})", f"{head}.{tag.rstrip(b'=').decode()}"


def _published_key(web: Web, endpoints: Endpoints | None) -> dict[str, Any]:
    """The first RSA key of the key set; empty if there is none."""
    if endpoints is None:
        return {}
    keys = web.request("GET", endpoints.jwks).member("keys")
    found = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    return next((key for key in found if key.get("kty") == "RSA"), {})


def _public_forms(published: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    key = RSAKey.import_key({name: published[name] for name in ("kty", "n", "e")})
    yield "PEM", key.as_pem(private=False)
    yield "JWK", json.dumps(published).encode()


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join(parts)
