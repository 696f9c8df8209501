"""All limits of the SMART server, as the settings say."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.settings.authorization.smart_server import SmartServer
from gateway.smart_server.limits.guess_limits import CLIENT, Guess, GuessLimits, GuessRules
from gateway.smart_server.limits.request_limits import LimitedRequest, RequestLimits
from gateway.storage.accounts.known_places import KnownPlaces
from gateway.storage.attempts import Attempts
from gateway.telemetry.server_event import EventKind, ServerEvent

_log = logging.getLogger(__name__)
# Seconds in which wrong passwords and wrong secrets are counted.
_LOGIN_WINDOW, _SECRET_WINDOW = 300.0, 60.0


@dataclass(frozen=True, slots=True)
class SmartServerLimits:
    """`logins` are for passwords of users, `secrets` for those of programs, `requests` for their number."""

    logins: GuessLimits
    secrets: GuessLimits
    requests: RequestLimits


def build_limits(
    settings: SmartServer,
    attempts: Attempts,
    known_places: KnownPlaces,
    clock: Callable[[], float],
    on_event: Callable[[ServerEvent], None],
) -> SmartServerLimits:
    """The limits. Each refusal is an event. `clock` returns seconds since the epoch."""
    rates = settings.rate_limits

    def record_refusal(reason: str, client_id: str | None, address: str) -> None:
        _log.warning("refused after too many attempts", extra={"limit": reason, "remote": address})
        on_event(
            ServerEvent(
                kind=EventKind.RATE_LIMITED, at=clock(), client_id=client_id, reason=reason, remote_address=address
            )
        )

    def refuse_guess(guess: Guess) -> None:
        record_refusal(f"{guess.kind}_guesses", guess.name if guess.kind == CLIENT else None, guess.address)

    def refuse_request(kind: LimitedRequest, sender: str, address: str) -> None:
        is_client = kind in {LimitedRequest.TOKEN, LimitedRequest.FAILED_GRANT}
        record_refusal(kind.value, sender or None if is_client else None, address)

    login_rules = GuessRules(settings.login_attempts, rates.failed_logins_per_network, _LOGIN_WINDOW)
    secret_rules = GuessRules(rates.wrong_secrets, 0, _SECRET_WINDOW)
    return SmartServerLimits(
        logins=GuessLimits(attempts, known_places, login_rules, clock, refuse_guess),
        secrets=GuessLimits(attempts, known_places, secret_rules, clock, refuse_guess),
        requests=RequestLimits(attempts, rates, refuse_request),
    )
