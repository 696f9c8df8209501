"""Whoever asks whether the gateway is ready while somebody else does, waits for the same look."""

import asyncio

from starlette.requests import Request

from gateway.asgi.health import Health


async def test_health_checks_at_the_same_time_are_one_look_at_the_store() -> None:
    looks, began, may_end = 0, asyncio.Event(), asyncio.Event()

    async def check_fhir_server() -> str:
        return ""

    async def check_store() -> None:
        nonlocal looks
        looks += 1
        began.set()
        await may_end.wait()

    health, request = Health(check_fhir_server, check_store, lambda: True), Request({"type": "http"})
    asking = [asyncio.create_task(health.readiness(request)) for _ in range(5)]
    await began.wait()
    # Whoever came first does not end it for the others.
    asking[0].cancel()
    may_end.set()
    responses = await asyncio.gather(*asking[1:])
    assert [(response.status_code, response.body) for response in responses] == [(200, b"ready\n")] * 4
    assert looks == 1
    await health.readiness(request)
    assert looks == 2
