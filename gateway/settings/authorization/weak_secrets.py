"""Secrets that were chosen here and can be guessed; those of other servers are chosen there."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gateway.settings.section import Conflict, SettingPath

if TYPE_CHECKING:
    from gateway.settings.model import Settings

_Secrets = Iterator[tuple[SettingPath, SecretStr | None]]

# What a secret must have that was chosen here. 16 random letters and digits are 95 bits, which nobody guesses.
MIN_SECRET_LENGTH = 16
_MIN_DIFFERENT_CHARACTERS = 8
WEAK_SECRET = (
    f"must have at least {MIN_SECRET_LENGTH} characters, {_MIN_DIFFERENT_CHARACTERS} of them different, "
    "outside of development: true; openssl rand -base64 24 prints a good one"
)


def is_weak_secret(text: str) -> bool:
    """Whether a secret can be guessed."""
    return len(text) < MIN_SECRET_LENGTH or len(set(text)) < _MIN_DIFFERENT_CHARACTERS


def _admin_token(settings: "Settings") -> _Secrets:
    if settings.smart_server is not None:
        yield ("smart_server", "admin_token"), settings.smart_server.admin_token


def _client_secrets(settings: "Settings") -> _Secrets:
    if settings.smart_server is not None:
        for index, client in enumerate(settings.smart_server.clients):
            yield ("smart_server", "clients", index, "client_secret"), getattr(client, "client_secret", None)


def _launcher_secrets(settings: "Settings") -> _Secrets:
    if settings.smart_server is not None:
        for index, launcher in enumerate(settings.smart_server.launchers):
            yield ("smart_server", "launchers", index, "client_secret"), getattr(launcher, "client_secret", None)


def _hash_key(settings: "Settings") -> _Secrets:
    yield ("audit", "hash_key"), settings.audit.hash_key


def _chain_key(settings: "Settings") -> _Secrets:
    if settings.audit.events is not None:
        yield ("audit", "events", "chain_key"), settings.audit.events.chain_key


def _weak_secrets(find_secrets: Callable[["Settings"], _Secrets], settings: "Settings") -> Iterator[Conflict]:
    """Secrets that were chosen here and can be guessed. Those of other servers are chosen there."""
    for path, secret in find_secrets(settings):
        if secret is None or settings.development:
            continue
        if is_weak_secret(secret.get_secret_value()):
            yield Conflict(path, WEAK_SECRET)


WEAK_SECRET_RULES: tuple[Callable[["Settings"], Iterator[Conflict]], ...] = tuple(
    partial(_weak_secrets, find_secrets)
    for find_secrets in (_admin_token, _client_secrets, _launcher_secrets, _hash_key, _chain_key)
)
