"""From an Authorization header to an `Access`, or to the reason why there is none (RFC 6750 2.1)."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.keys.introspection import Introspector, PostForm
from gateway.keys.issuers import TrustedIssuer
from gateway.keys.jwks import JwksSource
from gateway.keys.refused import TokenRefused
from gateway.keys.token import MAX_TOKEN_LENGTH, looks_like_jwt, read_token
from gateway.keys.verify import Verifier
from gateway.policy.access import Access
from gateway.policy.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.reasons import Reason
from gateway.web.connection import ConnectionMemory
from gateway.web.own_tokens import OwnTokens
from gateway.web.token_cache import TokenCache, fingerprint

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
# What nearly every client writes; its token is looked up without a look at its letters.
_USUAL = b"Bearer "
_USUAL_LENGTH = len(_USUAL)
_MAX_HEADER_LENGTH = MAX_TOKEN_LENGTH + _USUAL_LENGTH
# Every worker is told when an authorization ends; this is how long a token may live on where the message got lost.
_OWN_AGE = 10.0
# These pass with time or with a new key, so they are not remembered: the same token may be accepted a moment later.
# They cost no signature check, so that nothing is lost by looking again.
_PASSING = frozenset({Reason.TOKEN_NOT_YET_VALID, Reason.TOKEN_KEY_UNKNOWN, Reason.TOKEN_CHECK_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Trust:
    """An issuer with its keys and the names of its claims. `keys` is None where tokens are introspected."""

    issuer: TrustedIssuer
    mapping: ClaimMapping
    keys: JwksSource | None


class BearerResolver:
    """Resolves each token once per worker; then it is a look-up."""

    def __init__(
        self,
        trusts: Sequence[Trust],
        cache: TokenCache,
        bases: Sequence[str],
        post: PostForm,
        own: OwnTokens | None = None,
    ) -> None:
        """`bases` are the public and the upstream's base URL; `own` knows the tokens that we issued ourselves."""
        self._signed: dict[str, tuple[Trust, Verifier]] = {}
        self._opaque: list[tuple[Trust, Introspector]] = []
        for trust in trusts:
            if trust.keys is not None:
                self._signed[trust.issuer.issuer] = trust, Verifier(trust.issuer, trust.keys)
            elif trust.issuer.introspection is not None:
                self._opaque.append((trust, Introspector(trust.issuer, trust.issuer.introspection, post)))
        self._cache = cache
        self._bases = tuple(bases)
        self._own = own
        self._running: dict[bytes, asyncio.Future[Access]] = {}

    def resolve_cached(
        self, authorization: bytes | None, connection: ConnectionMemory, now: float
    ) -> Access | TokenRefused | None:
        """What is known without waiting; None where `resolve` must be awaited. `now`: seconds since the epoch.

        Only tokens that were well formed are ever remembered, so a hit needs no look at the form.
        """
        if authorization is None:
            return TokenRefused(Reason.TOKEN_MISSING, "no Authorization header")
        if authorization != connection.authorization:
            if authorization[:_USUAL_LENGTH] != _USUAL or len(authorization) > _MAX_HEADER_LENGTH:
                return None
            connection.fingerprint = fingerprint(authorization[_USUAL_LENGTH:])
            connection.authorization = authorization
        return self._cache.get(connection.fingerprint, now)

    async def resolve(self, authorization: bytes | None, now: float) -> Access:
        """What the token permits. Raises `TokenRefused`. Several requests with one new token wait for one check."""
        token = read_bearer(authorization)
        key = fingerprint(token)
        known = self._cache.get(key, now)
        if isinstance(known, TokenRefused):
            # A new exception: one that is raised again and again would grow by a traceback each time.
            raise TokenRefused(known.reason, known.detail)
        if known is not None:
            return known
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(self._resolved(token.decode("ascii"), key, now))
            running.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(running)

    def _ended(self, key: bytes, done: asyncio.Future[Access]) -> None:
        """Forget the check; its outcome counts as seen even where every waiter has gone."""
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()

    async def _resolved(self, token: str, key: bytes, now: float) -> Access:
        generation = self._cache.generation
        try:
            access = await self._checked(token, now)
        except TokenRefused as refused:
            if refused.reason not in _PASSING:
                self._cache.put_refused(key, refused, now)
            raise
        # Whatever was revoked meanwhile may be this token: it serves who waits for it and is asked about again.
        if generation == self._cache.generation:
            self._cache.put(key, access, now, None if access.authorization_id is None else _OWN_AGE)
        return access

    def forget(self, ended: str) -> None:
        """Forget the tokens of an authorization or of a client that has ended, in this worker."""
        self._cache.forget(lambda access: ended in {access.authorization_id, access.client_id})

    async def _checked(self, token: str, now: float) -> Access:
        """By the keys of the issuer that the token names, else by the word of the one that is asked about tokens."""
        if self._own is not None and self._own.are(token):
            return await self._own.access(token, now)
        named: object = None
        refused = TokenRefused(Reason.TOKEN_MALFORMED, "no signed token, and no issuer to ask about it")
        if looks_like_jwt(token):
            try:
                unverified = read_token(token)
            except TokenRefused as error:
                # Not every token of three parts is a JWT: it may be one that only its issuer can read.
                refused = error
            else:
                refused = TokenRefused(Reason.TOKEN_ISSUER_UNKNOWN, "its issuer is not trusted, and no one is asked")
                named = unverified.claims.get("iss")
                if isinstance(named, str) and named in self._signed:
                    trust, verifier = self._signed[named]
                    return self._access(await verifier.claims(unverified, now), trust)
        asked = self._whom_to_ask(named)
        if asked is None:
            raise refused
        trust, introspector = asked
        return self._access(await introspector.claims(token, now), trust)

    def _whom_to_ask(self, named: object) -> tuple[Trust, Introspector] | None:
        """The issuer that the token names, if it is asked about tokens; else the only one that is."""
        for trust, introspector in self._opaque:
            if trust.issuer.issuer == named:
                return trust, introspector
        return self._opaque[0] if len(self._opaque) == 1 else None

    def _access(self, claims: Mapping[str, Any], trust: Trust) -> Access:
        try:
            access = access_from_claims(claims, trust.mapping, self._bases)
        except ClaimsError as error:
            raise TokenRefused(Reason.TOKEN_CLAIMS_INVALID, str(error)) from error
        # The skew counts here as well, so that a remembered token is refused at the same moment as a new one.
        return replace(access, expires_at=access.expires_at + trust.issuer.clock_skew)


def read_bearer(authorization: bytes | None) -> bytes:
    """The token of an Authorization header's value. Raises `TokenRefused`."""
    if authorization is None:
        raise TokenRefused(Reason.TOKEN_MISSING, "no Authorization header")
    match = _BEARER.fullmatch(authorization)
    if match is not None and len(match[1]) <= MAX_TOKEN_LENGTH:
        return match[1]
    if authorization[:6].lower() == b"bearer":
        raise TokenRefused(Reason.TOKEN_MALFORMED, "not one bearer token, or too long")
    raise TokenRefused(Reason.TOKEN_MISSING, "another authentication scheme")
