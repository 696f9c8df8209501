"""From an Authorization header to an `Access`, or to the reason why there is none (RFC 6750 2.1)."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.keys.introspection import PostForm, introspect
from gateway.keys.issuers import TrustedIssuer
from gateway.keys.jwks import JwksSource
from gateway.keys.refused import TokenRefused
from gateway.keys.token import MAX_TOKEN_LENGTH, Unverified, looks_like_jwt, read_token
from gateway.keys.verify import check_algorithm, check_claims, check_signature
from gateway.policy.access import Access
from gateway.policy.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.reasons import Reason
from gateway.web.token_cache import TokenCache, fingerprint

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
# Signatures checked at once, per issuer: a storm of new tokens must not stall the worker (performance.md rule 10).
_CONCURRENT_CHECKS = 8
# These keep: the same token will be refused again. The others may pass with time or a new key.
_LASTING = frozenset(
    {
        Reason.TOKEN_MALFORMED,
        Reason.TOKEN_ISSUER_UNKNOWN,
        Reason.TOKEN_ALGORITHM_REFUSED,
        Reason.TOKEN_SIGNATURE_INVALID,
        Reason.TOKEN_EXPIRED,
        Reason.TOKEN_AUDIENCE_WRONG,
        Reason.TOKEN_NOT_AN_ACCESS_TOKEN,
        Reason.TOKEN_CLAIMS_INVALID,
        Reason.TOKEN_INACTIVE,
        Reason.TOKEN_KEY_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Trust:
    """An issuer with its keys and the names of its claims. `keys` is None where tokens are introspected."""

    issuer: TrustedIssuer
    mapping: ClaimMapping
    keys: JwksSource | None


class BearerResolver:
    """Resolves each token once per worker; then it is a look-up."""

    def __init__(self, trusts: Sequence[Trust], cache: TokenCache, bases: Sequence[str], post: PostForm) -> None:
        """`bases` are the public and the upstream's base URL."""
        self._signed = {trust.issuer.issuer: trust for trust in trusts if trust.keys is not None}
        self._opaque = [trust for trust in trusts if trust.keys is None]
        self._cache = cache
        self._bases = tuple(bases)
        self._post = post
        self._running: dict[bytes, asyncio.Future[Access]] = {}
        self._slots = {trust.issuer.issuer: asyncio.Semaphore(_CONCURRENT_CHECKS) for trust in trusts}

    def resolve_cached(self, authorization: bytes | None, now: float) -> Access | TokenRefused | None:
        """What is known without waiting; None where `resolve` must be awaited. `now`: seconds since the epoch."""
        if authorization is None:
            return TokenRefused(Reason.TOKEN_MISSING)
        match = _BEARER.fullmatch(authorization)
        if match is None or len(match[1]) > MAX_TOKEN_LENGTH:
            return _not_bearer(authorization)
        return self._cache.get(fingerprint(match[1]), now)

    async def resolve(self, authorization: bytes | None, now: float) -> Access:
        """What the token permits. Raises `TokenRefused`. Several requests with one new token wait for one check."""
        match = _BEARER.fullmatch(authorization or b"")
        if match is None:
            raise TokenRefused(Reason.TOKEN_MISSING if authorization is None else Reason.TOKEN_MALFORMED)
        key = fingerprint(match[1])
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(self._resolved(match[1].decode("ascii"), key, now))
            running.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(running)

    def _ended(self, key: bytes, done: asyncio.Future[Access]) -> None:
        """Forget the check; its outcome counts as seen even where every waiter has gone."""
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()

    async def _resolved(self, token: str, key: bytes, now: float) -> Access:
        try:
            access = await self._checked(token, now)
        except TokenRefused as refused:
            if refused.reason in _LASTING:
                self._cache.put_refused(key, refused, now)
            raise
        self._cache.put(key, access, now)
        return access

    async def _checked(self, token: str, now: float) -> Access:
        if looks_like_jwt(token):
            unverified = read_token(token)
            named = unverified.claims.get("iss")
            trust = self._signed.get(named) if isinstance(named, str) else None
            if trust is not None:
                return self._access(await self._verified(unverified, trust, now), trust)
        if len(self._opaque) == 1:
            trust = self._opaque[0]
            return self._access(await introspect(token, trust.issuer, self._post, now), trust)
        raise TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN if looks_like_jwt(token) else Reason.TOKEN_MALFORMED)

    async def _verified(self, token: Unverified, trust: Trust, now: float) -> Mapping[str, Any]:
        assert trust.keys is not None
        algorithm = check_algorithm(token, trust.issuer)
        # The claims first: they cost nothing, and a token that is over needs no signature check.
        check_claims(token.claims, trust.issuer, now)
        kid = token.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise TokenRefused(Reason.TOKEN_MALFORMED, "kid is no string")
        key = await trust.keys.key(kid, algorithm, now)
        async with self._slots[trust.issuer.issuer]:
            await asyncio.to_thread(check_signature, token, key, algorithm)
        return token.claims

    def _access(self, claims: Mapping[str, Any], trust: Trust) -> Access:
        try:
            access = access_from_claims(claims, trust.mapping, self._bases)
        except ClaimsError as error:
            raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, str(error)) from error
        return replace(access, expires_at=access.expires_at + trust.issuer.clock_skew)


def _not_bearer(authorization: bytes) -> TokenRefused:
    scheme = authorization.split(b" ", 1)[0].lower()
    return TokenRefused(Reason.TOKEN_MALFORMED if scheme == b"bearer" else Reason.TOKEN_MISSING, "no bearer token")
