"""How administrators name a user: a local user by name, one of a provider or launcher by subject and provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.oauth.authorization import LOCAL_PROVIDER
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.openid_provider.id_token import provider_subject


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user as an administrator named them. `subject` is that of sessions and grants (`User.subject`)."""

    name: str
    subject: str
    provider: str

    @property
    def is_local(self) -> bool:
        """Whether the user signs in here with a password."""
        return self.provider == LOCAL_PROVIDER

    def __str__(self) -> str:
        return self.name if self.is_local else f"{self.name} of {self.provider}"


def read_user(members: Mapping[str, Any], dependencies: Dependencies) -> NamedUser:
    """The user that `user` and `provider` name. Raises `AdminRequestError`.

    `provider` is the issuer of an OpenID provider, for which `user` is the `sub` there, or the client_id of a launcher.
    Without it, the user is local.
    """
    name, provider = members.get("user"), members.get("provider")
    if not isinstance(name, str) or not name:
        raise AdminRequestError(400, "user: must name a user")
    if provider is None or provider == LOCAL_PROVIDER:
        return NamedUser(name, name, LOCAL_PROVIDER)
    if any(provider == known.issuer for known in dependencies.providers):
        return NamedUser(name, provider_subject(provider, name), provider)
    if isinstance(provider, str) and provider in dependencies.launchers:
        return NamedUser(name, f"{provider}|{name}", provider)
    raise AdminRequestError(400, "provider: must be the issuer of a configured provider, or a configured launcher")
