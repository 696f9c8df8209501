"""How administrators prove who they are: by the password of an account, a bearer token, or a login at a provider."""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.accounts import AdminAccounts, AdminIdentity
from gateway.admin.administrator import Administrator
from gateway.credentials.token_refused import TokenRefused
from gateway.oauth.parameters import Parameters
from gateway.settings.serving.admin import Admin
from gateway.smart_server.cookies import is_bound
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_administrator, note_claims
from gateway.smart_server.http_messages import remote_address
from gateway.smart_server.limits.guess_limits import ADMINISTRATOR, Guess
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.smart_server.openid_provider.openid_client import ExpectedResponse, LoginOptions, OpenIdClient
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason
from gateway.storage.accounts.admin_sessions import AdminLogin, AdminSessionStore
from gateway.storage.tokens.opaque_tokens import digest, new_id
from gateway.telemetry.server_event import EventKind

_MAX_NAME_LENGTH = 200
_MAX_PASSWORD_LENGTH = 1000
_LOGIN_COOKIE = "smart-admin-login"
_LOGIN_SECONDS = 900
# Errors that come from a decision of the user (OpenID Connect Core 3.1.2.6).
_DECLINED = "access_denied"
# Seconds.
_BUSY_WAIT = 2


class PasswordSignIn:
    """Checks the passwords of accounts, within the limits on guesses that hold for users too."""

    def __init__(self, dependencies: Dependencies, accounts: AdminAccounts) -> None:
        self._dependencies = dependencies
        self._accounts = accounts

    async def sign_in(self, name: str, password: str, request: Request) -> AdminIdentity | None:
        """The identity, if the password is right. An unknown name takes as long as a wrong password.

        Raises `TooManyAttemptsError`, also where too many passwords are being checked just now.
        """
        note_claims(typed_user=name)
        if not name or not password or len(name) > _MAX_NAME_LENGTH or len(password) > _MAX_PASSWORD_LENGTH:
            self._refuse("incomplete")
            return None
        account = self._accounts.find_account(name)
        stored_hash = None if account is None else account.password_hash

        async def verify() -> bool:
            return await self._dependencies.passwords.matches(password, stored_hash)

        guess = Guess(ADMINISTRATOR, name, remote_address(request))
        try:
            is_correct = await self._dependencies.limits.logins.check(guess, verify)
        except TokenRefused as refused:
            raise TooManyAttemptsError(_BUSY_WAIT) from refused
        if account is None or not is_correct:
            self._refuse("wrong_credentials")
            return None
        return self._accounts.account_identity(account)

    def _refuse(self, reason: str) -> None:
        self._dependencies.record_event(EventKind.ADMIN_SIGN_IN_FAILED, reason=reason)


class TokenSignIn:
    """Checks the bearer tokens of programs, within the limits on wrong secrets."""

    def __init__(self, dependencies: Dependencies, accounts: AdminAccounts) -> None:
        self._limits = dependencies.limits.secrets
        self._accounts = accounts

    async def authenticate(self, token: str, request: Request) -> Administrator | None:
        """The administrator whose token it is. Raises `TooManyAttemptsError`."""
        administrator = self._accounts.find_token(token)

        async def verify() -> bool:
            return administrator is not None

        # A wrong token names nobody, so that all of them are guesses of one account. None is that of a password.
        name = "" if administrator is None else administrator.name
        guess = Guess(ADMINISTRATOR, f"token:{name}", remote_address(request))
        if not await self._limits.check(guess, verify, is_right=administrator is not None):
            return None
        if administrator is not None:
            note_administrator(administrator.name)
        return administrator


class ProviderSignIn:
    """Logins of administrators at an OpenID provider, each bound to its browser by a cookie (RFC 9700, login CSRF)."""

    def __init__(
        self, settings: Admin, dependencies: Dependencies, accounts: AdminAccounts, provider: OpenIdClient
    ) -> None:
        self._settings = settings
        self._dependencies = dependencies
        self._accounts = accounts
        self._provider = provider
        self._store = AdminSessionStore(dependencies.storage.store)

    @property
    def name(self) -> str:
        """The name of the provider, for people."""
        return self._provider.name

    async def start(self, _: Request, response: Response) -> str:
        """The URL of the provider to which the browser goes; sets a cookie on `response`. Raises `ProviderLoginError`.

        The cookie is not `SameSite=Strict`: it must come along when the provider sends the browser back.
        """
        redirect = await self._provider.start_login(new_id(), LoginOptions(), self._dependencies.clock())
        binding = secrets.token_urlsafe(32)
        login = AdminLogin(digest(binding), redirect.nonce, redirect.verifier)
        await self._store.put_login(redirect.state, login)
        response.set_cookie(
            self._cookie_name, binding, max_age=_LOGIN_SECONDS, path="/", secure=self._settings.uses_https,
            httponly=True, samesite="lax",
        )  # fmt: skip
        return redirect.location

    async def finish(self, request: Request, parameters: Parameters) -> AdminIdentity | None:
        """The identity of who came back; None if they declined, or may not administer.

        Raises `ProviderLoginError` for what cannot be trusted, such as a login of another browser.
        """
        note_claims(issuer=self._provider.issuer)
        login = await self._store.take_login(parameters.get("state") or "")
        if login is None or not is_bound(request.cookies.get(self._cookie_name), login.browser):
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "the login was not started in this browser")
        now = self._dependencies.clock()
        await self._provider.check_issuer(parameters.get("iss"), now)
        if "error" in parameters.values or "error" in parameters.repeated:
            if parameters.get("error") != _DECLINED:
                raise ProviderLoginError(ProviderLoginReason.REFUSED, "the provider responded with an error")
            self._refuse(_DECLINED)
            return None
        code = parameters.get("code")
        if code is None:
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, "the response has no code, or more than one")
        provider_login = await self._provider.redeem_code(code, ExpectedResponse(login.nonce, login.verifier), now)
        identity = await self._accounts.provider_identity(provider_login.user, provider_login.provider_session)
        if identity is None:
            self._refuse("not_permitted")
        return identity

    def _refuse(self, reason: str) -> None:
        self._dependencies.record_event(EventKind.ADMIN_SIGN_IN_FAILED, reason=reason)

    @property
    def _cookie_name(self) -> str:
        return f"__Host-{_LOGIN_COOKIE}" if self._settings.uses_https else _LOGIN_COOKIE
