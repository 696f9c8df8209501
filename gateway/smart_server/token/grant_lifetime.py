"""How long an access that a user granted lasts after its tokens were issued or renewed."""

from gateway.oauth.authorization import Authorization
from gateway.oauth.client.client import Client
from gateway.oauth.granted_scopes import OFFLINE_ACCESS, ONLINE_ACCESS
from gateway.scopes.parse_scopes import parse_granted_scopes
from gateway.settings.authorization.smart_server import Lifetimes


def can_refresh(authorization: Authorization) -> bool:
    """Whether its client gets a refresh token."""
    scopes = parse_granted_scopes(authorization.scope)
    return OFFLINE_ACCESS in scopes or ONLINE_ACCESS in scopes


def token_lifetime(client: Client, lifetimes: Lifetimes) -> int:
    """The seconds for which an access token of a user is valid."""
    return client.access_token_lifetime or lifetimes.access_token_seconds


def grant_lifetime(authorization: Authorization, client: Client, lifetimes: Lifetimes) -> int:
    """Seconds. Online access lasts as long as a session, also for a session of the EHR (RF-2).

    The authorization does not expire before its access token.
    """
    seconds = token_lifetime(client, lifetimes)
    if not can_refresh(authorization):
        return seconds
    is_offline = OFFLINE_ACCESS in parse_granted_scopes(authorization.scope)
    return max(seconds, lifetimes.refresh_seconds if is_offline else lifetimes.session_seconds)
