"""Signing in with an OpenID provider: there by code flow with PKCE, back with an id_token that is checked whole."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from gateway.fhir.reference import parse_reference
from gateway.keys.jwks import Document, JwksSource
from gateway.keys.refused import TokenRefused
from gateway.keys.token import read_token
from gateway.keys.verify import check_signature
from gateway.oauth.authorization import User
from gateway.oauth.pkce import challenge_of

_ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384")
_SKEW = 60.0
_USER_TYPES = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"})


class SignInError(Exception):
    """The provider's answer cannot be believed or had; the message is for our log."""


class DocumentClient(Protocol):
    """The control client of the `upstream` room, as far as it is needed here."""

    async def get_document(self, url: str) -> Document:
        """GET a document."""

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> Document:
        """POST a form."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What an operator says of a provider."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    name_claim: str
    fhir_user_claim: str


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what the answer must fit to."""

    location: str
    state: str
    nonce: str
    verifier: str


class SignInProvider:
    """One provider; its endpoints are read from its discovery document once."""

    def __init__(
        self, settings: ProviderSettings, client: DocumentClient, redirect_uri: str, bases: tuple[str, ...]
    ) -> None:
        self._settings = settings
        self._client = client
        self._redirect_uri = redirect_uri
        self._bases = bases
        self._known: Mapping[str, Any] | None = None
        self._keys: JwksSource | None = None

    @property
    def name(self) -> str:
        """What the sign-in page calls it."""
        return self._settings.name

    async def departure(self, transaction_id: str, *, hint: str, fresh: bool) -> Departure:
        """The way there. `fresh` asks for a new login (`prompt=login`). Raises `SignInError`."""
        endpoints = await self._endpoints()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        state = f"{transaction_id}.{state}"
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        if hint:
            query["login_hint"] = hint
        if fresh:
            query["prompt"] = "login"
        endpoint = str(endpoints["authorization_endpoint"])
        return Departure(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, nonce, verifier)

    async def arrival(self, code: str, verifier: str, nonce: str, issuer: str | None, now: float) -> User:
        """The user whom the code stands for. `issuer` is the `iss` of the answer, if any. Raises `SignInError`."""
        if issuer is not None and issuer != self._settings.issuer:
            raise SignInError("the answer is of another issuer (RFC 9207)")
        endpoints = await self._endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        proof = (self._settings.client_id, self._settings.client_secret)
        answer = await self._ask(lambda: self._client.post_form(str(endpoints["token_endpoint"]), form, proof))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignInError("the provider gave no id_token")
        return self._user(await self._claims(token, nonce, now))

    async def _claims(self, token: str, nonce: str, now: float) -> Mapping[str, Any]:
        """The claims of an id_token that holds (OpenID Connect Core 3.1.3.7)."""
        try:
            unverified = read_token(token)
            algorithm = unverified.header.get("alg")
            if algorithm not in _ALGORITHMS:
                raise SignInError(f"an id_token by the algorithm {algorithm!r}")
            kid = unverified.header.get("kid")
            assert self._keys is not None
            key = await self._keys.key(kid if isinstance(kid, str) else None, algorithm, now)
            check_signature(unverified, key, algorithm)
        except TokenRefused as refused:
            raise SignInError(f"the id_token: {refused.reason.value} {refused.detail}") from refused
        claims = unverified.claims
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._settings.issuer or self._settings.client_id not in audiences:
            raise SignInError("an id_token of another issuer, or for another client")
        if len(audiences) > 1 and claims.get("azp") != self._settings.client_id:
            raise SignInError("an id_token that another party was given")
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or isinstance(expires, bool) or now >= expires + _SKEW:
            raise SignInError("an id_token that is over")
        if not secrets.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise SignInError("an id_token of another login (nonce)")
        return claims

    def _user(self, claims: Mapping[str, Any]) -> User:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise SignInError("an id_token without a subject")
        own = claims.get(self._settings.fhir_user_claim)
        parsed = parse_reference(own, self._bases) if isinstance(own, str) else None
        known = parsed is not None and parsed.resource_type in _USER_TYPES
        name = claims.get(self._settings.name_claim) or claims.get("preferred_username") or subject
        # Two providers may name two people alike, so a subject of ours is a digest of both names (ID-7: at most 255).
        ours = hashlib.sha256(f"{self._settings.issuer}\n{subject}".encode()).digest()
        return User(
            subject=base64.urlsafe_b64encode(ours).rstrip(b"=").decode(),
            name=str(name)[:200],
            fhir_user=f"{parsed.resource_type}/{parsed.id}" if known and parsed is not None else None,
            provider=self._settings.issuer,
        )

    async def _endpoints(self) -> Mapping[str, Any]:
        if self._known is None:
            url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = await self._ask(lambda: self._client.get_document(url))
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if document.get("issuer") != self._settings.issuer:
                raise SignInError("the discovery document is of another issuer")
            if not all(isinstance(document.get(name), str) for name in wanted):
                raise SignInError("the discovery document lacks an endpoint")
            self._keys = JwksSource(url=document["jwks_uri"], file=None, fetch=self._client.get_document)
            self._known = document
        return self._known

    async def _ask(self, question: Any) -> dict[str, Any]:
        try:
            document = await question()
            answer = orjson.loads(document.body) if document.status == 200 else None
        except Exception as error:
            raise SignInError(f"the provider does not answer: {str(error)[:200]}") from error
        if not isinstance(answer, dict):
            raise SignInError(f"the provider answered with status {document.status}")
        return answer
