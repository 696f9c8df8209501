"""How many requests may be in progress: whoever has the most leaves room for the others."""

import pytest

from gateway.asgi.requests_in_progress import ProgressLimits, RequestsInProgress, of_address
from gateway.asgi.types import CONNECTION, PLACE
from gateway.policy.reasons import Reason
from gateway.upstream.caller import ClientKey

GREEDY, POLITE = ("issuer", "greedy"), ("issuer", "polite")


def fill(in_progress: RequestsInProgress, client: ClientKey) -> int:
    """Begin as many requests as one client may."""
    count = 0
    while (in_progress.enter_unproven if not client[0] else in_progress.enter)(client) is None:
        count += 1
    return count


def test_a_client_has_its_limit_and_others_have_theirs() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=100, per_client=3, per_address=2))
    assert fill(in_progress, GREEDY) == 3
    assert in_progress.enter(GREEDY) is Reason.TOO_MANY_REQUESTS
    assert fill(in_progress, POLITE) == 3
    in_progress.leave(GREEDY)
    assert in_progress.enter(GREEDY) is None
    assert (in_progress.total, in_progress.clients) == (6, 2)


def test_one_client_of_another_issuer_is_another_client() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=100, per_client=1, per_address=2))
    assert fill(in_progress, ("issuer", "app")) == 1
    assert fill(in_progress, ("other", "app")) == 1


def test_each_greedy_client_leaves_half_of_what_it_finds() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=1024, per_client=1024, per_address=256))
    assert [fill(in_progress, ("issuer", f"greedy-{number}")) for number in range(4)] == [512, 256, 128, 64]
    assert in_progress.enter(POLITE) is None


def test_when_all_are_taken_a_client_without_any_is_told_that_the_server_is_busy() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=2, per_client=9, per_address=9))
    assert in_progress.enter(GREEDY) is None
    assert in_progress.enter(GREEDY) is Reason.TOO_MANY_REQUESTS
    assert in_progress.enter(POLITE) is None
    assert in_progress.enter(("issuer", "third")) is Reason.OVERLOADED


def test_requests_without_a_token_take_half_at_most() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=100, per_client=100, per_address=10))
    for number in range(1, 200):
        fill(in_progress, of_address(f"192.0.2.{number}"))
    assert in_progress.unproven == 50
    assert in_progress.enter(POLITE) is None
    in_progress.leave(of_address("192.0.2.1"))
    assert in_progress.unproven == 49


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        (None, None, True),
    ],
)
def test_an_address_is_that_of_one_host(one: str | None, other: str | None, are_same: bool) -> None:
    assert (of_address(one) == of_address(other)) is are_same


def test_a_server_that_would_not_end_it_has_nothing_counted() -> None:
    in_progress = RequestsInProgress(ProgressLimits(total=2, per_client=1, per_address=1))
    elsewhere: dict[str, object] = {"extensions": {}}
    assert in_progress.admit(GREEDY, elsewhere) is None
    assert (in_progress.total, PLACE in elsewhere) == (0, False)
    here: dict[str, object] = {"extensions": {CONNECTION: object()}}
    assert in_progress.admit(GREEDY, here) is None
    assert here[PLACE] == (in_progress, GREEDY)
