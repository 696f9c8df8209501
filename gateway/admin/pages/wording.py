"""Words that several admin pages share."""

from gateway.languages.language import gettext_noop
from gateway.oauth.client.client import AuthenticationMethod
from gateway.pages.admin.parts import Badge, Cell, Fact
from gateway.smart_server.administration.clients import ClientSummary
from gateway.smart_server.page_language import format_time, gettext

_METHODS = {
    AuthenticationMethod.NONE: gettext_noop("Not at all (public)"),
    AuthenticationMethod.CLIENT_SECRET_BASIC: gettext_noop("By a secret"),
    AuthenticationMethod.PRIVATE_KEY_JWT: gettext_noop("By a key of its own"),
    AuthenticationMethod.TLS_CLIENT_AUTH: gettext_noop("By a certificate of an authority"),
    AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH: gettext_noop("By a certificate of its own"),
}


def describe_method(method: str) -> str:
    """How a client authenticates, by the name of OAuth."""
    return gettext(_METHODS[AuthenticationMethod(method)])


def client_badges(client: ClientSummary) -> tuple[Badge, ...]:
    """What somebody should know of a client at once, the most important first."""
    badges = []
    if client.disabled:
        badges.append(Badge(gettext("Disabled"), "bad"))
    if client.self_registered:
        badges.append(Badge(gettext("To review"), "care"))
    if client.without_pkce:
        badges.append(Badge(gettext("Without PKCE"), "care"))
    return tuple(badges)


def fact(label: str, *texts: str, is_code: bool = False) -> tuple[Fact, ...]:
    """The fact with these values; none where all are empty."""
    values = tuple(Cell(text, is_code=is_code) for text in texts if text)
    return (Fact(label, values),) if values else ()


def moment(seconds: float) -> str:
    """A time in seconds since the epoch; empty for 0, which is none."""
    return format_time(seconds) if seconds else ""
