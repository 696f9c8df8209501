"""Resolves an Authorization header to an `Access`, or to the reason why there is none (RFC 6750 2.1)."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.credentials.introspect_token import Introspector, PostForm
from gateway.credentials.issuer_keys import IssuerKeys
from gateway.credentials.token_refused import TokenClaims, TokenRefused
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.credentials.unverified_token import MAX_TOKEN_LENGTH, looks_like_jwt, parse_token
from gateway.credentials.verify_token import TokenVerifier
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.reasons import Reason
from gateway.proxy.bearer_token.connection_memory import ConnectionMemory
from gateway.proxy.bearer_token.token_cache import BearerTokenCache, fingerprint

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
# The prefix that nearly all clients send. For these, the cache is consulted before the token's syntax is checked.
_USUAL_PREFIX = b"Bearer "
_PREFIX_LENGTH = len(_USUAL_PREFIX)
_MAX_HEADER_LENGTH = MAX_TOKEN_LENGTH + _PREFIX_LENGTH
# In seconds. Workers are notified when an authorization ends, and forget all tokens issued here after notifications may
# have been missed. While the store cannot be reached at all, a known token stays valid for this long.
_MAX_AGE_ISSUED_HERE = 10.0
# Temporary refusals, which are not cached: the same token may be accepted a moment later. They are cheap to repeat,
# because they happen before the signature is verified.
_TEMPORARY_REFUSALS = frozenset({Reason.TOKEN_NOT_YET_VALID, Reason.TOKEN_KEY_UNKNOWN, Reason.TOKEN_CHECK_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class IssuerTrust:
    """A trusted issuer, how its claims are read, and its keys; `keys` is None if its tokens are introspected."""

    issuer: TrustedIssuer
    claim_mapping: ClaimMapping
    keys: IssuerKeys | None


class LocalTokenIssuer(Protocol):
    """The gateway's own SMART server as the issuer of access tokens."""

    def recognises(self, token: str) -> bool:
        """Whether the token has the form of those issued here. If so, no other issuer is consulted."""

    async def resolve(self, token: str, now: float) -> Access:
        """The access of the token. `now` is in seconds since the epoch. Raises `TokenRefused`."""


class BearerResolver:
    """Resolves each token once per worker, then looks it up in the cache."""

    def __init__(
        self,
        trusts: Sequence[IssuerTrust],
        cache: BearerTokenCache,
        bases: Sequence[str],
        post: PostForm,
        local_issuer: LocalTokenIssuer | None = None,
    ) -> None:
        """`bases` are the public base URL and that of the FHIR server; `local_issuer` resolves tokens issued here."""
        self._verifiers: dict[str, tuple[IssuerTrust, TokenVerifier]] = {}
        self._introspectors: list[tuple[IssuerTrust, Introspector]] = []
        for trust in trusts:
            if trust.keys is not None:
                self._verifiers[trust.issuer.issuer] = trust, TokenVerifier(trust.issuer, trust.keys)
            elif trust.issuer.introspection is not None:
                self._introspectors.append((trust, Introspector(trust.issuer, trust.issuer.introspection, post)))
        self._cache = cache
        self._bases = tuple(bases)
        self._local_issuer = local_issuer
        self._pending_checks: dict[bytes, asyncio.Future[Access]] = {}

    @property
    def remembered_tokens(self) -> int:
        """The number of tokens whose check is remembered, refused ones included."""
        return len(self._cache)

    def key_load_times(self) -> dict[str, float]:
        """When the keys of each issuer were last loaded, in seconds since the epoch; without those never needed."""
        load_times = {}
        for issuer, (trust, _) in self._verifiers.items():
            if trust.keys is not None and trust.keys.loaded_at is not None:
                load_times[issuer] = trust.keys.loaded_at
        return load_times

    def resolve_cached(
        self, authorization: bytes | None, connection: ConnectionMemory, now: float
    ) -> Access | TokenRefused | None:
        """The cached result for the header; None if `resolve` must be awaited. `now`: seconds since the epoch.

        Only well-formed tokens are cached, so a cached one needs no check of its syntax.
        """
        if authorization is None:
            return TokenRefused(Reason.TOKEN_MISSING, "no Authorization header")
        if authorization != connection.authorization:
            if authorization[:_PREFIX_LENGTH] != _USUAL_PREFIX or len(authorization) > _MAX_HEADER_LENGTH:
                return None
            connection.fingerprint = fingerprint(authorization[_PREFIX_LENGTH:])
            connection.authorization = authorization
        return self._cache.get(connection.fingerprint, now)

    async def resolve(self, authorization: bytes | None, now: float) -> Access:
        """The access of the token. Raises `TokenRefused`. Concurrent requests with the same token share one check."""
        token = read_bearer(authorization)
        key = fingerprint(token)
        cached = self._cache.get(key, now)
        if isinstance(cached, TokenRefused):
            raise cached.copy()
        if cached is not None:
            return cached
        check = self._pending_checks.get(key)
        if check is None:
            check = asyncio.ensure_future(self._check_and_cache(token.decode("ascii"), key, now))
            self._pending_checks[key] = check
            check.add_done_callback(lambda finished: self._remove_check(key, finished))
        return await asyncio.shield(check)

    def _remove_check(self, key: bytes, check: asyncio.Future[Access]) -> None:
        """Remove a finished check. Its exception is retrieved, even if no request waits for it any more."""
        self._pending_checks.pop(key, None)
        if not check.cancelled():
            check.exception()

    async def _check_and_cache(self, token: str, key: bytes, now: float) -> Access:
        generation = self._cache.generation
        try:
            access = await self._check(token, now)
        except TokenRefused as refused:
            if refused.reason not in _TEMPORARY_REFUSALS:
                self._cache.put_refused(key, refused, now)
            raise
        # If anything was revoked during the check, it may be this token. Then the result serves the waiting requests
        # only, and the token is checked again next time.
        if generation == self._cache.generation:
            self._cache.put(key, access, now, None if access.authorization_id is None else _MAX_AGE_ISSUED_HERE)
        return access

    def forget_ended(self, ended_id: str | None) -> None:
        """Remove the tokens of an authorization or of a client that has ended from this worker's cache.

        None means that ends may have been missed: all tokens issued here are removed.
        """
        if ended_id is None:
            self._cache.forget(lambda access: access.authorization_id is not None)
        else:
            self._cache.forget(lambda access: ended_id in {access.authorization_id, access.client_id})

    async def _check(self, token: str, now: float) -> Access:
        """Verify the token with the keys of the issuer that it names, or introspect it."""
        if self._local_issuer is not None and self._local_issuer.recognises(token):
            return await self._local_issuer.resolve(token, now)
        issuer: object = None
        refused = TokenRefused(Reason.TOKEN_MALFORMED, "not a signed token, and no issuer to introspect it")
        if looks_like_jwt(token):
            try:
                unverified = parse_token(token)
            except TokenRefused as error:
                # Not every token with two dots is a JWT: it may be opaque to all but its issuer.
                refused = error
            else:
                claims = TokenClaims.read(unverified.claims)
                refused = TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "its issuer is not trusted", claims)
                issuer = unverified.claims.get("iss")
                if isinstance(issuer, str) and issuer in self._verifiers:
                    trust, verifier = self._verifiers[issuer]
                    try:
                        return self._read_access(await verifier.verify(unverified, now), trust)
                    except TokenRefused as error:
                        error.claims = claims
                        raise
        entry = self._find_introspector(issuer)
        if entry is None:
            raise refused
        trust, introspector = entry
        introspected = await introspector.introspect(token, now)
        try:
            return self._read_access(introspected, trust)
        except TokenRefused as error:
            error.claims = TokenClaims.read(introspected)
            raise

    def _find_introspector(self, issuer: object) -> tuple[IssuerTrust, Introspector] | None:
        """The introspector of the issuer that the token names, or the only one that there is."""
        for trust, introspector in self._introspectors:
            if trust.issuer.issuer == issuer:
                return trust, introspector
        return self._introspectors[0] if len(self._introspectors) == 1 else None

    def _read_access(self, claims: Mapping[str, Any], trust: IssuerTrust) -> Access:
        try:
            access = access_from_claims(claims, trust.claim_mapping, self._bases)
        except ClaimsError as error:
            raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, str(error)) from error
        # The clock skew is added here as well, so that a cached token expires at the same moment as a new one.
        return replace(access, expires_at=access.expires_at + trust.issuer.clock_skew)


def read_bearer(authorization: bytes | None) -> bytes:
    """The token in the value of an Authorization header. Raises `TokenRefused`."""
    if authorization is None:
        raise TokenRefused(Reason.TOKEN_MISSING, "no Authorization header")
    match = _BEARER.fullmatch(authorization)
    if match is not None and len(match[1]) <= MAX_TOKEN_LENGTH:
        return match[1]
    if authorization[:6].lower() == b"bearer":
        raise TokenRefused(Reason.TOKEN_MALFORMED, "not a single bearer token, or too long")
    raise TokenRefused(Reason.TOKEN_MISSING, "another authentication scheme")
