"""Signing in with an OpenID provider: there by code flow with PKCE, back with an id_token that is checked whole."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import orjson

from gateway.keys.jwks import Document, JwksSource
from gateway.keys.refused import TokenRefused
from gateway.keys.token import read_token
from gateway.keys.verify import check_signature
from gateway.oauth.pkce import challenge_of
from gateway.policy.reasons import Reason
from gateway.web.smart.provider_claims import (
    ProviderSettings,
    SignedIn,
    check_id_token,
    key_to_ask_for,
    moment_of_login,
    user_of,
)
from gateway.web.smart.provider_errors import SignInError, SignInReason
from gateway.web.smart.provider_metadata import KeptMetadata, ProviderMetadata

__all__ = ["DocumentClient", "Expected", "ProviderSettings", "SignInProvider", "Wishes", "callback_path"]


def callback_path(index: int) -> str:
    """Where people come back to from the provider at that place of the configuration, below the issuer.

    Each has an address of its own, so that a code of one is never taken for a code of another, whatever the other made
    the browser do (mix-up, RFC 9700 4.4.2.2). The first has the plain one.
    """
    return "/signed-in" if index == 0 else f"/signed-in/{index + 1}"


class DocumentClient(Protocol):
    """The control client of the `upstream` room, as far as it is needed here."""

    async def get_document(self, url: str, token: str | None = None) -> Document:
        """GET a document, with a bearer token where there is one."""

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> Document:
        """POST a form."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an app wants of the login: `hint` names the user, `anew` asks for the password, `max_age` is in seconds."""

    hint: str = ""
    anew: bool = False
    max_age: int | None = None

    def parameters(self) -> dict[str, str]:
        """The same for the provider, in the words of OpenID Connect Core 3.1.2.1.

        A `max_age` of 0, which should mean the same as `prompt=login`, sends people round in circles at canaille.
        """
        return {
            **({"login_hint": self.hint} if self.hint else {}),
            **({"prompt": "login"} if self.anew else {}),
            **({"max_age": str(self.max_age)} if self.max_age else {}),
        }

    def since(self, started_at: float) -> float | None:
        """The oldest login that will do, for an app that asked at `started_at`, in seconds since the epoch."""
        oldest = 0 if self.anew else self.max_age
        return None if oldest is None else started_at - oldest


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what the answer must fit to."""

    location: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the answer must fit to, remembered since the departure; `since` is the oldest login that will do."""

    nonce: str
    verifier: str
    since: float | None = None


class SignInProvider:
    """One provider. Its metadata and keys are kept for a while, and looked at again after any failure."""

    def __init__(
        self, settings: ProviderSettings, client: DocumentClient, redirect_uri: str, bases: tuple[str, ...]
    ) -> None:
        """`bases` are the base URLs of the FHIR server, ours and its own, below which a user's resource may lie."""
        self._settings = settings
        self._client = client
        self._redirect_uri = redirect_uri
        self._bases = bases
        self._metadata = KeptMetadata(settings.issuer, self._object_at)
        self._keys: tuple[str, JwksSource] | None = None

    @property
    def name(self) -> str:
        """What the sign-in page calls it."""
        return self._settings.name

    async def departure(self, transaction_id: str, wishes: Wishes, now: float) -> Departure:
        """The way there. `now` is in seconds since the epoch. Raises `SignInError`."""
        endpoint = (await self._metadata.get(now)).authorization_endpoint
        secret, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        state = f"{transaction_id}.{secret}"
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            **wishes.parameters(),
        }
        return Departure(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, nonce, verifier)

    async def check_sender(self, issuer: str | None, now: float) -> None:
        """Whether an answer comes from this provider: `issuer` is its `iss` (RFC 9207). Raises `SignInError`.

        Asked before the code goes anywhere: a code of one provider must not be shown to another (RFC 9700 4.4).
        """
        if issuer is None and not (await self._metadata.get(now)).names_itself:
            return
        if issuer != self._settings.issuer:
            raise SignInError(SignInReason.NOT_BELIEVED, "the answer is of another issuer, or of none (RFC 9207)")

    async def arrival(self, code: str, expected: Expected, now: float) -> SignedIn:
        """The user whom the code stands for. Raises `SignInError`."""
        try:
            metadata = await self._metadata.get(now)
            answer = await self._exchanged(metadata, code, expected.verifier)
            token = answer.get("id_token")
            if not isinstance(token, str):
                raise SignInError(SignInReason.NOT_BELIEVED, "the provider gave no id_token")
            claims = await self._verified(metadata, token, now)
            check_id_token(claims, self._settings, expected.nonce, now)
            at = moment_of_login(claims, expected.since, now)
            claims = await self._completed(metadata, claims, answer.get("access_token"))
        except SignInError:
            self._metadata.doubt()
            raise
        return SignedIn(user_of(claims, self._settings, self._bases), at)

    async def _exchanged(self, metadata: ProviderMetadata, code: str, verifier: str) -> Mapping[str, Any]:
        """The token response."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        client_id, secret = self._settings.client_id, self._settings.client_secret
        if metadata.secret_in_form:
            form |= {"client_id": client_id, "client_secret": secret}
            return await self._object(lambda: self._client.post_form(metadata.token_endpoint, form))
        proof = quote_plus(client_id), quote_plus(secret)  # RFC 6749 2.3.1
        return await self._object(lambda: self._client.post_form(metadata.token_endpoint, form, proof))

    async def _verified(self, metadata: ProviderMetadata, text: str, now: float) -> Mapping[str, Any]:
        """The claims of an id_token whose signature is the provider's."""
        if self._keys is None or self._keys[0] != metadata.jwks_uri:
            keys = JwksSource(url=metadata.jwks_uri, file=None, fetch=self._client.get_document)
            self._keys = metadata.jwks_uri, keys
        try:
            token = read_token(text)
            kid, algorithm = key_to_ask_for(token)
            check_signature(token, await self._keys[1].key(kid, algorithm, now), algorithm)
        except TokenRefused as refused:
            away = refused.reason is Reason.TOKEN_CHECK_UNAVAILABLE
            reason = SignInReason.UNAVAILABLE if away else SignInReason.NOT_BELIEVED
            raise SignInError(reason, f"the id_token: {refused.reason.value} {refused.detail}") from refused
        return token.claims

    async def _completed(
        self, metadata: ProviderMetadata, claims: Mapping[str, Any], access_token: Any
    ) -> Mapping[str, Any]:
        """With the claims of the userinfo endpoint, where the id_token lacks one that is looked for.

        In the code flow the claims of a scope such as `profile` belong there (OpenID Connect Core 5.4).
        """
        wanted = {self._settings.name_claim, self._settings.fhir_user_claim}
        endpoint = metadata.userinfo_endpoint
        if wanted <= claims.keys() or endpoint is None or not isinstance(access_token, str):
            return claims
        told = await self._object(lambda: self._client.get_document(endpoint, access_token))
        if told.get("sub") != claims["sub"]:
            raise SignInError(SignInReason.NOT_BELIEVED, "the userinfo is of another user (OpenID Connect Core 5.3.2)")
        return {**told, **claims}

    async def _object_at(self, url: str) -> Mapping[str, Any]:
        return await self._object(lambda: self._client.get_document(url))

    async def _object(self, question: Callable[[], Awaitable[Document]]) -> Mapping[str, Any]:
        """The JSON object that the provider answers. Raises `SignInError`."""
        try:
            document = await question()
            answer = orjson.loads(document.body) if document.body else None
        except orjson.JSONDecodeError as error:
            raise SignInError(
                SignInReason.UNAVAILABLE, "the provider answered with something else than JSON"
            ) from error
        except Exception as error:
            raise SignInError(SignInReason.UNAVAILABLE, f"the provider does not answer: {error}") from error
        if document.status in {400, 401} and isinstance(answer, dict):
            story = f"{answer.get('error')!r}: {answer.get('error_description')!r}"
            raise SignInError(SignInReason.REFUSED, f"the provider answered {story}")
        if document.status != 200 or not isinstance(answer, dict):
            raise SignInError(SignInReason.UNAVAILABLE, f"the provider answered with status {document.status}")
        return answer
