"""The administrators of the configuration as it is now: accounts, tokens, and the roles of a provider's users."""

import hmac
from dataclasses import dataclass

from gateway.admin.administrator import Administrator, Origin, Role
from gateway.oauth.authorization import User
from gateway.oauth.client.client import digest_secret
from gateway.settings.serving.admin import Admin, AdminAccount, AdminProvider
from gateway.smart_server.accounts.local_users import LocalUsers
from gateway.storage.accounts.admin_sessions import AdminSession
from gateway.storage.tokens.opaque_tokens import digest


@dataclass(frozen=True, slots=True)
class AdminIdentity:
    """Who has just proven who they are: an account of the configuration, or a user of the provider.

    `account_digest` is that of `AdminSession`. `provider_session` names the session at the provider that it came from.
    """

    administrator: Administrator
    account_digest: str = ""
    user: User | None = None
    provider_session: str | None = None


class AdminAccounts:
    """Finds administrators. A session counts only as long as what it began with is still configured."""

    def __init__(self, settings: Admin, users: LocalUsers) -> None:
        """`users` knows which users of providers are disabled here."""
        self._accounts = {account.name: account for account in settings.accounts}
        self._tokens = settings.tokens
        self._provider = settings.provider
        self._users = users

    def find_account(self, name: str) -> AdminAccount | None:
        """The account with this name."""
        return self._accounts.get(name)

    def find_token(self, token: str) -> Administrator | None:
        """The administrator whose token this is. All tokens are compared, so that the time tells nothing."""
        presented = digest_secret(token)
        found = [entry for entry in self._tokens if hmac.compare_digest(entry.token_hash, presented)]
        return Administrator(found[0].name, Role(found[0].role), Origin.TOKEN) if found else None

    def account_identity(self, account: AdminAccount) -> AdminIdentity:
        """The identity of whoever knows the password of the account."""
        administrator = Administrator(account.name, Role(account.role), Origin.ACCOUNT)
        return AdminIdentity(administrator, account_digest=_account_digest(account))

    async def provider_identity(self, user: User, provider_session: str | None) -> AdminIdentity | None:
        """The identity of a user of the provider; None for one who is disabled here, or has none of the roles."""
        admitted = await self._users.admit(user)
        administrator = None if admitted is None else self._as_administrator(admitted)
        if administrator is None:
            return None
        return AdminIdentity(administrator, user=admitted, provider_session=provider_session)

    async def of_session(self, session: AdminSession) -> Administrator | None:
        """The administrator as of now; None if they may not administer any more, or have to sign in again."""
        if session.user is not None:
            user = await self._users.reload(session.user)
            return None if user is None else self._as_administrator(user)
        account = self._accounts.get(session.name)
        if account is None or not hmac.compare_digest(_account_digest(account), session.account_digest):
            return None
        return Administrator(account.name, Role(account.role), Origin.ACCOUNT)

    def _as_administrator(self, user: User) -> Administrator | None:
        """An administrator by the roles that the provider told at the sign-in; the name alone would not be unique."""
        provider = self._provider
        role = None if provider is None or user.provider != provider.issuer else _role_of(user, provider)
        return None if role is None else Administrator(f"{user.name} ({user.subject})", role, Origin.PROVIDER)


def _role_of(user: User, provider: AdminProvider) -> Role | None:
    roles = set(user.roles)
    if roles & set(provider.operator_roles):
        return Role.OPERATOR
    return Role.AUDITOR if roles & set(provider.auditor_roles) else None


def _account_digest(account: AdminAccount) -> str:
    return digest(account.password_hash)
