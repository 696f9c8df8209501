"""The attempts that the self-test makes, in front of a real server and of hostile ones.

The self-test makes them in the same words against a deployment; the other tests of the corpus look more closely.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from gateway.commands.selftesting.attempts import Attempt, AttemptedRequest, Expectation, Subjects, read_attempts
from gateway.commands.selftesting.check_results import SkippedCheck
from gateway.commands.selftesting.judge_attempt import try_attempt
from gateway.commands.selftesting.web import Answer
from tests.proxy.leaks.leak_gateways import LeakGateways
from tests.proxy.running_gateway import RunningGateway
from tests.servers.hostile import B_MARKER, Mode

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

ATTEMPTS = read_attempts()
HOSTILE = (
    Mode.HONEST,
    Mode.IGNORES_EVERYTHING,
    Mode.ONLY_B,
    Mode.INCLUDES_OF_B,
    Mode.HISTORY_OF_B,
    Mode.OUTCOME_QUOTES_B,
)


def sender(gateway: RunningGateway, scope: str) -> Callable[[AttemptedRequest], Answer]:
    """Sends requests byte for byte, from a thread beside the event loop of the gateway."""
    loop = asyncio.get_running_loop()

    async def send(request: AttemptedRequest) -> Answer:
        options: dict[str, Any] = {}
        if request.form is not None:
            options = {"content": request.form, "headers": {"content-type": "application/x-www-form-urlencoded"}}
        elif request.body is not None:
            options = {"json": request.body}
        headers = {**options.pop("headers", {}), **request.headers, "authorization": f"Bearer {gateway.token(scope)}"}
        message = gateway.client.build_request(request.method, gateway.base_url, headers=headers, **options)
        root = gateway.base_url.index("/", gateway.base_url.index("://") + 3)
        message.extensions["target"] = f"{gateway.base_url[root:]}{request.target}".encode()
        response = await gateway.client.send(message)
        sent = f"{request.method} {request.target}"
        return Answer(sent, response.status_code, response.headers, response.content)

    def send_and_wait(request: AttemptedRequest) -> Answer:
        future: Future[Answer] = asyncio.run_coroutine_threadsafe(send(request), loop)
        return future.result()

    return send_and_wait


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: f"{attempt.id} {attempt.attempt}")
async def test_an_attempt_gives_nothing_away_in_front_of_a_real_server(
    gateways: LeakGateways, attempt: Attempt
) -> None:
    gateway = gateways.sekmet
    own, hidden = ("pat-a-smoking", "pat-a-observation-6"), ("pat-b-smoking", "pat-b-binary")
    subjects = Subjects(gateway.base_url, "pat-a", "pat-b", *own, *hidden, "never-was")
    await asyncio.to_thread(try_attempt, attempt, subjects, [B_MARKER], sender(gateway, attempt.scope))


@pytest.mark.parametrize("mode", HOSTILE)
async def test_no_attempt_gives_anything_away_in_front_of(gateways: LeakGateways, mode: Mode) -> None:
    gateway = gateways.by_mode[mode]
    # Ids that nobody knows: a hostile server answers them by records of B, whose ids have the marker in them.
    subjects = Subjects(gateway.base_url, "pat-a", "somebody", "a-1", "a-2", "b-1", "b-2", "never-was")
    for attempt in ATTEMPTS:
        # What a hostile server says decides about the status, but never about what is shown.
        shown = replace(attempt, expect=Expectation.HIDDEN, same_for=attempt.same_for[:1])
        try:
            await asyncio.to_thread(try_attempt, shown, subjects, [B_MARKER], sender(gateway, attempt.scope))
        except SkippedCheck:
            continue
