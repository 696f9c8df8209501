"""The pool with real servers: nginx, and uvicorn with each of its two parsers."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gateway.upstream.exchange_types import Request
from tests.servers.ports import free_port
from tests.upstream.raw_server import fetch, open_pool

Message = MutableMapping[str, Any]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
BODY = bytes(range(256)) * 1024


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """`/echo` sends the body back in one piece, `/pieces` in several without a length, `/nothing` responds with 204."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    path = scope["path"]
    status = 204 if path == "/nothing" else 200
    headers = [(b"content-length", b"%d" % len(body))] if path == "/echo" else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if path == "/pieces":
        for start in range(0, len(body), 5000):
            await send({"type": "http.response.body", "body": body[start : start + 5000], "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": b"" if path == "/nothing" else body})


@contextlib.asynccontextmanager
async def running_uvicorn(app: Any, **options: Any) -> AsyncIterator[str]:
    """Run an ASGI application on a loopback port in this event loop. Yields its origin."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False, **options))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield f"{'https' if server.config.is_ssl else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()


@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_uvicorn(parser: str) -> None:
    async with running_uvicorn(application, http=parser) as origin, open_pool(origin, connections=4) as pool:
        for _ in range(2):
            assert await fetch(pool, Request(b"POST", b"/echo", (), BODY)) == (200, BODY)
            assert await fetch(pool, Request(b"POST", b"/echo", (), b"small")) == (200, b"small")
            assert await fetch(pool, Request(b"POST", b"/pieces", (), BODY)) == (200, BODY)
            assert await fetch(pool, Request(b"GET", b"/nothing")) == (204, b"")
            assert await fetch(pool, Request(b"HEAD", b"/echo")) == (200, b"")
            assert await fetch(pool, Request(b"HEAD", b"/pieces")) == (200, b"")
        assert pool.opened_total == 1
        bodies = [b"%d" % number * 100 for number in range(200)]
        results = await asyncio.gather(*(fetch(pool, Request(b"POST", b"/pieces", (), body)) for body in bodies))
        assert results == [(200, body) for body in bodies]
        assert pool.opened_total == 4


async def test_uvicorn_that_closes_idle_connections() -> None:
    async with running_uvicorn(application, timeout_keep_alive=0) as origin, open_pool(origin) as pool:
        for number in range(20):
            body = b"%d" % number
            assert await fetch(pool, Request(b"POST", b"/echo", (), body)) == (200, body)
            await asyncio.sleep(0)


async def test_a_stream_from_uvicorn() -> None:
    async with running_uvicorn(application) as origin, open_pool(origin) as pool:
        answer = await pool.send(Request(b"POST", b"/pieces", (), BODY))
        assert b"".join([piece async for piece in answer.stream()]) == BODY
        assert pool.idle == 1


@pytest.fixture
def nginx(tmp_path: Path) -> Callable[[], contextlib.AbstractAsyncContextManager[str]]:
    if NGINX is None:
        pytest.skip("nginx is not installed on this machine")
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(BODY * 32)
    return lambda: running_nginx(tmp_path)


@contextlib.asynccontextmanager
async def running_nginx(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log notice;
        events {{ worker_connections 64; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{ listen 127.0.0.1:{port}; root {folder}; keepalive_requests 10; etag on;
                      location /gone {{ return 204; }} location /teapot {{ return 418 short; }} }}
        }}"""
    )
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", str(configuration), "-p", str(folder), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while not await listens(port):  # noqa: ASYNC110  # another process gives no event
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_nginx(nginx: Callable[[], contextlib.AbstractAsyncContextManager[str]]) -> None:
    async with nginx() as origin, open_pool(origin, connections=4) as pool:
        assert await fetch(pool, Request(b"GET", b"/small")) == (200, b"small")
        answer = await pool.send(Request(b"GET", b"/large"))
        assert await answer.read(1 << 24) == BODY * 32
        assert (await fetch(pool, Request(b"HEAD", b"/large"))) == (200, b"")
        assert (await fetch(pool, Request(b"GET", b"/gone"))) == (204, b"")
        assert (await fetch(pool, Request(b"GET", b"/teapot"))) == (418, b"short")
        assert (await fetch(pool, Request(b"GET", b"/absent")))[0] == 404
        etag = dict(answer.headers)[b"etag"]
        assert await fetch(pool, Request(b"GET", b"/large", ((b"if-none-match", etag),))) == (304, b"")
        assert pool.opened_total == 1


async def test_nginx_that_ends_a_connection_after_ten_requests(
    nginx: Callable[[], contextlib.AbstractAsyncContextManager[str]],
) -> None:
    async with nginx() as origin, open_pool(origin, connections=4) as pool:
        results = await asyncio.gather(*(fetch(pool, Request(b"GET", b"/small")) for _ in range(200)))
        assert results == [(200, b"small")] * 200
        assert pool.opened_total >= 20
