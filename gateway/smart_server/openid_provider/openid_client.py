"""A client of one OpenID provider: authorization code flow with PKCE, and full validation of the id_token."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import orjson

from gateway.credentials.issuer_keys import HttpDocument, IssuerKeys
from gateway.credentials.token_refused import TokenRefused
from gateway.credentials.unverified_token import parse_token
from gateway.credentials.verify_token import check_signature
from gateway.oauth.pkce import code_challenge
from gateway.policy.reasons import Reason
from gateway.settings.authorization.smart_server import IdentityProvider
from gateway.smart_server.openid_provider.id_token import (
    ID_TOKEN_TYPES,
    ProviderLogin,
    check_id_token,
    read_key_id,
    read_login_time,
    read_provider_session,
    read_user,
)
from gateway.smart_server.openid_provider.logout_token import LOGOUT_TOKEN_TYPES, ProviderLogout, read_logout
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason
from gateway.smart_server.openid_provider.provider_metadata import MetadataCache, ProviderMetadata

ADMIN_CALLBACK_PATH = "/signed-in"
"""The path of the callback of administrators, at the admin port."""
__all__ = ["ADMIN_CALLBACK_PATH", "DocumentClient", "ExpectedResponse", "LoginOptions", "OpenIdClient", "callback_path"]


def callback_path(index: int) -> str:
    """The path of the callback, below the issuer, of the provider at `index` of the configuration.

    Each provider has its own callback, so that a code from one is never taken for a code from another (mix-up attack,
    RFC 9700 4.4.2.2). The first provider has the path without a number.
    """
    return "/signed-in" if index == 0 else f"/signed-in/{index + 1}"


class DocumentClient(Protocol):
    """The part of the control client of `gateway.upstream` that is needed here."""

    async def get_document(self, url: str, token: str | None = None) -> HttpDocument:
        """GET a document, with the bearer token if there is one."""

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> HttpDocument:
        """POST a form, with HTTP Basic if `auth` is given."""


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """The app's requirements for a login: `hint` is a user name, `force_login` requires a new login.

    `max_age` is in seconds.
    """

    hint: str = ""
    force_login: bool = False
    max_age: int | None = None

    def parameters(self) -> dict[str, str]:
        """The parameters for the provider (OpenID Connect Core 3.1.2.1).

        A `max_age` of 0 is sent as `prompt=login`, which means the same: canaille redirects endlessly for `max_age=0`.
        """
        return {
            **({"login_hint": self.hint} if self.hint else {}),
            **({"prompt": "login"} if self.force_login else {}),
            **({"max_age": str(self.max_age)} if self.max_age else {}),
        }

    def oldest_login(self, started_at: float) -> float | None:
        """The time of the oldest acceptable login, for a request at `started_at`, in seconds since the epoch."""
        max_age = 0 if self.force_login else self.max_age
        return None if max_age is None else started_at - max_age


@dataclass(frozen=True, slots=True)
class LoginRedirect:
    """The authorization request to the provider: where to redirect, and what the response must match."""

    location: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class ExpectedResponse:
    """What the response must match. `oldest_login` is the time of the oldest acceptable login."""

    nonce: str
    verifier: str
    oldest_login: float | None = None


class OpenIdClient:
    """One provider. Its metadata and keys are cached for some minutes, and read again after any failure."""

    def __init__(
        self,
        settings: IdentityProvider,
        document_client: DocumentClient,
        redirect_uri: str,
        fhir_base_urls: tuple[str, ...],
    ) -> None:
        """`fhir_base_urls` are our own and the FHIR server's: the resource of a user must be below one of them."""
        self._settings = settings
        self._document_client = document_client
        self._redirect_uri = redirect_uri
        self._fhir_base_urls = fhir_base_urls
        self._metadata = MetadataCache(settings.issuer, self._get_json)
        self._keys: tuple[str, IssuerKeys] | None = None

    @property
    def issuer(self) -> str:
        """The issuer of the provider."""
        return self._settings.issuer

    @property
    def name(self) -> str:
        """The name of the provider on the sign-in page."""
        return self._settings.name

    async def start_login(self, login_id: str, options: LoginOptions, now: float) -> LoginRedirect:
        """The redirect to the provider. `now` is in seconds since the epoch. Raises `ProviderLoginError`."""
        endpoint = (await self._metadata.get(now)).authorization_endpoint
        secret, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        state = f"{login_id}.{secret}"
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge(verifier),
            "code_challenge_method": "S256",
            **options.parameters(),
        }
        return LoginRedirect(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, nonce, verifier)

    async def check_reachable(self, now: float) -> None:
        """Read its metadata, unless they were read minutes ago. Raises `ProviderLoginError`."""
        await self._metadata.get(now)

    async def check_issuer(self, issuer: str | None, now: float) -> None:
        """Check the `iss` of an authorization response (RFC 9207). Raises `ProviderLoginError`.

        This comes before the code is redeemed: the code of one provider must not be sent to another (RFC 9700 4.4).
        """
        if issuer is None and not (await self._metadata.get(now)).sends_issuer:
            return
        if issuer != self._settings.issuer:
            raise ProviderLoginError(
                ProviderLoginReason.NOT_TRUSTED, "the response is from another issuer, or names none (RFC 9207)"
            )

    async def redeem_code(self, code: str, expected: ExpectedResponse, now: float) -> ProviderLogin:
        """Exchange the code for the user who signed in. Raises `ProviderLoginError`."""
        try:
            metadata = await self._metadata.get(now)
            token_response = await self._exchange_code(metadata, code, expected.verifier)
            id_token = token_response.get("id_token")
            if not isinstance(id_token, str):
                raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "the token response has no id_token")
            claims = await self._verify_signature(metadata, id_token, now)
            check_id_token(claims, self._settings, expected.nonce, now)
            signed_in_at = read_login_time(claims, expected.oldest_login, now)
            provider_session = read_provider_session(claims, self._settings)
            claims = await self._add_userinfo(metadata, claims, token_response.get("access_token"))
        except ProviderLoginError:
            self._metadata.invalidate()
            raise
        return ProviderLogin(read_user(claims, self._settings, self._fhir_base_urls), signed_in_at, provider_session)

    async def read_logout_token(self, logout_token: str, now: float) -> ProviderLogout:
        """What a verified logout token says. `now` is in seconds since the epoch. Raises `ProviderLoginError`."""
        try:
            metadata = await self._metadata.get(now)
            claims = await self._verify_signature(metadata, logout_token, now, LOGOUT_TOKEN_TYPES)
        except ProviderLoginError:
            self._metadata.invalidate()
            raise
        return read_logout(claims, self._settings, now)

    async def _exchange_code(self, metadata: ProviderMetadata, code: str, verifier: str) -> Mapping[str, Any]:
        """The token response."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        client_id, secret = self._settings.client_id, self._settings.client_secret.get_secret_value()
        if metadata.sends_secret_in_form:
            form |= {"client_id": client_id, "client_secret": secret}
            return await self._read_json(lambda: self._document_client.post_form(metadata.token_endpoint, form))
        credentials = quote_plus(client_id), quote_plus(secret)  # RFC 6749 2.3.1
        return await self._read_json(
            lambda: self._document_client.post_form(metadata.token_endpoint, form, credentials)
        )

    async def _verify_signature(
        self, metadata: ProviderMetadata, id_token: str, now: float, types: frozenset[str] = ID_TOKEN_TYPES
    ) -> Mapping[str, Any]:
        """The claims of an id_token, or of a token of other `types`, with a valid signature of the provider."""
        if self._keys is None or self._keys[0] != metadata.jwks_uri:
            keys = IssuerKeys(url=metadata.jwks_uri, file=None, fetch=self._document_client.get_document)
            self._keys = metadata.jwks_uri, keys
        try:
            token = parse_token(id_token)
            kid, algorithm = read_key_id(token, types)
            check_signature(token, await self._keys[1].get_key(kid, algorithm, now), algorithm)
        except TokenRefused as refused:
            is_unavailable = refused.reason is Reason.TOKEN_CHECK_UNAVAILABLE
            reason = ProviderLoginReason.UNAVAILABLE if is_unavailable else ProviderLoginReason.NOT_TRUSTED
            raise ProviderLoginError(reason, f"id_token: {refused.reason.value} {refused.detail}") from refused
        return token.claims

    async def _add_userinfo(
        self, metadata: ProviderMetadata, claims: Mapping[str, Any], access_token: Any
    ) -> Mapping[str, Any]:
        """The claims, with those of the userinfo endpoint if the id_token lacks the name or the FHIR user.

        In the code flow, providers may return the claims of a scope only there (OpenID Connect Core 5.4).
        """
        needed = {self._settings.name_claim, self._settings.fhir_user_claim}
        endpoint = metadata.userinfo_endpoint
        if needed <= claims.keys() or endpoint is None or not isinstance(access_token, str):
            return claims
        userinfo = await self._read_json(lambda: self._document_client.get_document(endpoint, access_token))
        if userinfo.get("sub") != claims["sub"]:
            raise ProviderLoginError(
                ProviderLoginReason.NOT_TRUSTED, "the userinfo is about another user (OpenID Connect Core 5.3.2)"
            )
        return {**userinfo, **claims}

    async def _get_json(self, url: str) -> Mapping[str, Any]:
        return await self._read_json(lambda: self._document_client.get_document(url))

    async def _read_json(self, send_request: Callable[[], Awaitable[HttpDocument]]) -> Mapping[str, Any]:
        """The JSON object in the response of the provider. Raises `ProviderLoginError`."""
        try:
            document = await send_request()
            content = orjson.loads(document.body) if document.body else None
        except orjson.JSONDecodeError as error:
            raise ProviderLoginError(
                ProviderLoginReason.UNAVAILABLE, "the response of the provider is not JSON"
            ) from error
        except Exception as error:
            raise ProviderLoginError(
                ProviderLoginReason.UNAVAILABLE, f"the provider does not respond: {error}"
            ) from error
        if document.status in {400, 401} and isinstance(content, dict):
            detail = f"the provider responded with {content.get('error')!r}: {content.get('error_description')!r}"
            raise ProviderLoginError(ProviderLoginReason.REFUSED, detail)
        if document.status != 200 or not isinstance(content, dict):
            raise ProviderLoginError(
                ProviderLoginReason.UNAVAILABLE, f"the provider responded with status {document.status}"
            )
        return content
