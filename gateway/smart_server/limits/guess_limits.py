"""Limits on wrong passwords and secrets (RFC 9700), which do not lock out who knows the right one.

A guess belongs to an account and a place: the address that it comes from, or the browser, where the account was proven
in it before. Three counts, of wrong guesses alone:

* of an account at a place: after some, the place has to wait until the window is over. Others are not concerned.
* of an account at all places that are not known for it: after some, such places get one guess at a time, with pauses
  that double up to five minutes. So an account can be neither guessed from many addresses nor locked by them.
* of a network, for accounts that are not known at the place: invented names, and one password for many names. Whether
  a name exists must not be told, so all names count alike.

A place is known for an account where the account was proven from it, in the last half year. A right guess counts
nowhere.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.asgi.client_address import address_block, network_block
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError
from gateway.storage import store_keys
from gateway.storage.accounts.known_places import KnownPlaces
from gateway.storage.attempts import Attempts
from gateway.storage.tokens.opaque_tokens import digest
from gateway.storage.turns import Turns

# Seconds in which the wrong guesses of an account at unknown places are counted.
_ACCOUNT_WINDOW = 86400.0
# Seconds. The longest pause between two guesses at unknown places.
_MAX_PAUSE = 300
# Seconds for which a worker trusts its memory of an address.
_REMEMBERED = 86400.0
_MAX_REMEMBERED = 4096


LOCAL_USER, CLIENT, LAUNCHER, OPERATOR = "user", "client", "launcher", "operator"
ADMINISTRATOR = "administrator"
"""The kinds of accounts."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Whose secret is guessed, and from where.

    `name` is empty for the operator. `browser` is the secret of the cookie of a known browser.
    """

    kind: str
    name: str
    address: str
    browser: str | None = None

    @property
    def account(self) -> str:
        """The account, as in `store_keys`."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class GuessRules:
    """How many wrong guesses there may be in a window: at one place, and in one network. 0 means no limit."""

    per_place: int
    per_network: int
    window_seconds: float

    @property
    def per_account(self) -> int:
        """How many there may be at unknown places, before they are slowed down."""
        return 2 * self.per_place


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    is_known: bool


class GuessLimits:
    """The limits for accounts of one sort.

    Guesses of one account at one place wait for each other, so that many at once are not more than one after another.
    """

    def __init__(
        self,
        attempts: Attempts,
        known_places: KnownPlaces,
        rules: GuessRules,
        clock: Callable[[], float],
        on_refusal: Callable[[Guess], None],
    ) -> None:
        """`clock` returns seconds. `on_refusal` is called with each guess that was not even tried."""
        self._attempts = attempts
        self._known_places = known_places
        self._rules = rules
        self._clock = clock
        self._on_refusal = on_refusal
        self._turns = Turns()
        # Accounts and addresses that are known, and until when a right secret from there costs no look at the store.
        self._remembered: dict[tuple[str, str], float] = {}

    async def check(self, guess: Guess, verify: Callable[[], Awaitable[bool]], *, is_right: bool = False) -> bool:
        """Whether the guess is right, as `verify` finds out. Raises `TooManyAttemptsError`, and what `verify` raises.

        `is_right`: the guess is known to be right before. That is how secrets of programs are compared, which are too
        long to be guessed. From a known place they are accepted whatever others did there.
        """
        address = address_block(guess.address)
        if is_right and self._remembered.get((guess.account, address), 0.0) > self._clock():
            return True
        place = await self._find_place(guess, address)
        async with self._turns.take(f"{guess.account}@{place.name}"):
            if not place.is_known:
                # The guess before this one may have been right.
                place = await self._find_place(guess, address)
            if not (is_right and place.is_known):
                await self._require_turn(guess, place)
                if not await verify():
                    await self._count_failure(guess, place)
                    return False
                await self._attempts.reset(_place_key(guess, place))
        await self._known_places.remember(guess.account, address)
        if is_right:
            self._keep(guess.account, address)
        return True

    async def remember_browser(self, username: str, browser: str) -> None:
        """The user has signed in in the browser with this cookie."""
        await self._known_places.remember(f"{LOCAL_USER}:{username}", _browser_place(browser))

    def _keep(self, account: str, address: str) -> None:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[account, address] = self._clock() + _REMEMBERED

    async def _find_place(self, guess: Guess, address: str) -> _Place:
        if guess.browser is not None:
            browser = _browser_place(guess.browser)
            if await self._known_places.is_known(guess.account, browser):
                return _Place(browser, True)
        return _Place(address, await self._known_places.is_known(guess.account, address))

    async def _require_turn(self, guess: Guess, place: _Place) -> None:
        """Raises `TooManyAttemptsError` where a limit is reached."""
        rules = self._rules
        wait = await self._attempts.time_to_wait(_place_key(guess, place), rules.per_place)
        if not wait and not place.is_known:
            wait = await self._attempts.time_to_wait(_network_key(guess), rules.per_network)
            wait = wait or await self._take_slot(guess)
        if wait:
            self._on_refusal(guess)
            raise TooManyAttemptsError(wait)

    async def _take_slot(self, guess: Guess) -> int:
        """The time to wait for the next guess of the account at an unknown place; 0 if it is now."""
        account_key = _account_key(guess)
        if not self._rules.per_account:
            return 0
        excess = await self._attempts.count(account_key) - self._rules.per_account
        if excess < 0:
            return 0
        return await self._attempts.take_slot(account_key, min(2 ** min(excess, 10), _MAX_PAUSE))

    async def _count_failure(self, guess: Guess, place: _Place) -> None:
        rules = self._rules
        await self._attempts.record_attempt(_place_key(guess, place), rules.per_place, rules.window_seconds)
        if not place.is_known:
            await self._attempts.record_attempt(_account_key(guess), rules.per_account, _ACCOUNT_WINDOW)
            await self._attempts.record_attempt(_network_key(guess), rules.per_network, rules.window_seconds)


def _browser_place(browser: str) -> str:
    return f"browser:{digest(browser)}"


def _place_key(guess: Guess, place: _Place) -> str:
    return f"{store_keys.GUESS_ATTEMPT}{guess.account}@{place.name}"


def _account_key(guess: Guess) -> str:
    return f"{store_keys.ACCOUNT_GUESS_ATTEMPT}{guess.account}"


def _network_key(guess: Guess) -> str:
    return f"{store_keys.NETWORK_GUESS_ATTEMPT}{guess.kind}@{network_block(guess.address)}"
