"""Speak TLS in front of a server that speaks none: relay.py <own port> <server's port> <certificate> <key>.

It prints a line when it listens, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys


async def relay(own_port: int, server_port: int, certificate: str, key: str) -> None:
    """Relay bytes both ways until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
            await asyncio.gather(relay_bytes(reader, server_writer), relay_bytes(server_reader, writer))
        writer.close()

    await asyncio.start_server(serve, "127.0.0.1", own_port, ssl=context, backlog=1024)
    print("ready", flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


async def relay_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Relay bytes in one direction until the end, then close the writer."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
