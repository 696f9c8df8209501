"""The store that several workers share: Redis or Valkey, standalone, with Sentinel or as a Cluster."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisClusterException, RedisError

from gateway.storage import store_keys
from gateway.storage.backends.confirmed_writes import Command, ConfirmedWrites, TooFewReplicasError
from gateway.storage.backends.redis_servers import Servers, Standalone, create_client
from gateway.storage.backends.store import StoreUnavailableError

_MAX_LIFETIME_MILLISECONDS = 2**53
"""A longer lifetime would overflow the clock of the server."""

# uvloop raises RuntimeError for a write to a transport that the server has just closed, and a stream that ends within
# a response raises EOFError. redis-py lets both through.
_UNAVAILABLE = (RedisError, RedisClusterException, OSError, TimeoutError, EOFError, RuntimeError)

# The response to PTTL for a key without an end. That for a key that is not there is -2.
_NEVER_EXPIRES = -1

_STANDALONE_RETRY_DELAYS = (0.05,)
_FAILOVER_RETRY_DELAYS = (0.1, 0.3, 0.9, 1.8)
"""Seconds between attempts. A failover that Sentinel notices within a second is over after two or three seconds."""

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""

_COUNT = """
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[1]) then return tonumber(ARGV[2]) end
return redis.call('INCRBY', KEYS[1], ARGV[2])
"""

# A set is a sorted set, whose scores are the milliseconds since the epoch when a member's lifetime is over. Each
# addition removes the members that are over, so that a set never holds more than what is alive.
_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_ADD = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local expiry = ARGV[2] == '' and '+inf' or string.format('%.0f', now + ARGV[2])
redis.call('ZADD', KEYS[1], 'GT', expiry, ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last == 'inf' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last))) end
return 1
"""
)
_MEMBERS = _NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')"


class RedisStore:
    """A `Store` on Redis 6.2 or later, or Valkey.

    `connect_timeout` and `operation_timeout` are in seconds. No operation takes longer than both together, including
    its retries. Only operations that may be carried out twice are retried: `get`, `put`, `lifetime_left`,
    `add_member`, `members` and `ping`. The others raise `StoreUnavailableError`, although the server may have carried
    them out.
    `max_concurrent` limits the operations at one time, and so the number of connections.
    A write counts once `replicas` replicas have it (see `ConfirmedWrites`). `increment` does not wait for them, since a
    failover that forgets a few attempts does no harm.
    A listener that has received nothing for `listener_timeout` seconds sends a ping, and fails without a response
    within the same time.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        key_prefix: str = store_keys.REDIS_PREFIX,
        connect_timeout: float = 2.0,
        operation_timeout: float = 2.0,
        max_concurrent: int = 32,
        replicas: int = 0,
        listener_timeout: float = 0.5,
    ) -> None:
        self._client = create_client(servers, connect_timeout, operation_timeout)
        self._writes = ConfirmedWrites(self._client.commands, replicas, operation_timeout / 2) if replicas else None
        self._prefix = key_prefix
        self._operation_timeout = operation_timeout
        self._total_timeout = connect_timeout + operation_timeout
        self._semaphore = asyncio.Semaphore(max_concurrent)
        self._listener_timeout = listener_timeout
        self._retry_delays = _STANDALONE_RETRY_DELAYS if isinstance(servers, Standalone) else _FAILOVER_RETRY_DELAYS
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        value: bytes | None = await self._execute_with_retries("GET", self._value_key(key))
        return value

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """See `Store.put`."""
        await self._write_with_retries("SET", self._value_key(key), value, *_expiry_arguments(lifetime))

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """See `Store.put_new`."""
        return bool(await self._write_once("SET", self._value_key(key), value, "NX", *_expiry_arguments(lifetime)))

    async def take(self, key: str) -> bytes | None:
        """See `Store.take`."""
        value: bytes | None = await self._write_once("GETDEL", self._value_key(key))
        return value

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """See `Store.replace`."""
        return bool(
            await self._write_once("EVAL", _REPLACE, 1, self._value_key(key), expected, value, _milliseconds(lifetime))
        )

    async def delete(self, key: str) -> bool:
        """See `Store.delete`."""
        return bool(await self._write_once("DEL", self._value_key(key)))

    async def increment(self, key: str, lifetime: float, amount: int = 1) -> int:
        """See `Store.increment`. Raises `StoreUnavailableError` if the value is no counter."""
        return int(await self._execute_once("EVAL", _COUNT, 1, self._value_key(key), _milliseconds(lifetime), amount))

    async def lifetime_left(self, key: str) -> float | None:
        """See `Store.lifetime_left`."""
        milliseconds = int(await self._execute_with_retries("PTTL", self._value_key(key)))
        return None if milliseconds == _NEVER_EXPIRES else max(0, milliseconds) / 1000

    async def add_member(self, key: str, member: str, lifetime: float | None) -> None:
        """See `Store.add_member`."""
        await self._write_with_retries("EVAL", _ADD, 1, self._set_key(key), _encode(member), _milliseconds(lifetime))

    async def remove_member(self, key: str, member: str) -> None:
        """See `Store.remove_member`."""
        await self._write_once("ZREM", self._set_key(key), _encode(member))

    async def members(self, key: str) -> frozenset[str]:
        """See `Store.members`."""
        members = await self._execute_with_retries("EVAL", _MEMBERS, 1, self._set_key(key))
        return frozenset(_decode(member) for member in members)

    async def publish(self, channel: str, message: str) -> None:
        """See `Store.publish`. A Cluster sends the message to all its nodes."""
        await self._execute_once("PUBLISH", self._channel_name(channel), _encode(message))

    async def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """See `Store.listen`."""
        with self._translate_errors():
            pubsub = await self._subscribe(channel)
        try:
            yield None
            while True:
                with self._translate_errors():
                    message = await self._next_message(pubsub)
                if message["type"] == "message":
                    yield _decode(message["data"])
                elif message["type"] == "subscribe":
                    # The client connected and subscribed again by itself, after the connection was lost.
                    yield None
        finally:
            await _close_pubsub(pubsub)

    async def ping(self) -> None:
        """See `Store.ping`. Writes a key, because a replica would respond to a read."""
        await self._write_with_retries("SET", self._add_prefix(store_keys.REDIS_PING), b"", "PX", 1000)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        self._closed = True
        await self._client.aclose()

    async def _execute_once(self, *command: bytes | str | int) -> Any:
        return await self._execute(self._send, command, ())

    async def _execute_with_retries(self, *command: bytes | str | int) -> Any:
        return await self._execute(self._send, command, self._retry_delays)

    async def _write_once(self, *command: bytes | str | int) -> Any:
        return await self._execute(self._send_write, command, ())

    async def _write_with_retries(self, *command: bytes | str | int) -> Any:
        return await self._execute(self._send_write, command, self._retry_delays)

    async def _execute(
        self, send: Callable[[Command], Awaitable[Any]], command: Command, retry_delays: tuple[float, ...]
    ) -> Any:
        """Send the command, again after each delay while it fails, and return the response."""
        with self._translate_errors():
            async with asyncio.timeout(self._total_timeout), self._semaphore:
                for delay in retry_delays:
                    try:
                        return await send(command)
                    except _UNAVAILABLE:
                        await asyncio.sleep(delay)
                return await send(command)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise `StoreUnavailableError` for every error of the connection or of the server."""
        if self._closed:
            raise StoreUnavailableError("The store is closed.")
        try:
            yield
        except _UNAVAILABLE as error:
            detail = str(error) if isinstance(error, TooFewReplicasError) else type(error).__name__
            raise StoreUnavailableError(f"The store does not respond, or refuses ({detail}).") from error

    async def _send(self, command: Command) -> Any:
        await self._client.commands.initialize()
        return await self._client.commands.execute_command(*command)

    async def _send_write(self, command: Command) -> Any:
        if self._writes is None:
            return await self._send(command)
        await self._client.commands.initialize()
        # The key of a script comes after its text and the number of its keys.
        return await self._writes.send(command[3] if command[0] == "EVAL" else command[1], command)

    async def _subscribe(self, channel: str) -> PubSub:
        """Subscribe on a connection of its own and wait until the server confirms it."""
        async with asyncio.timeout(self._total_timeout):
            await self._client.commands.initialize()
            pubsub = self._client.commands.pubsub()
            try:
                await pubsub.subscribe(self._channel_name(channel))
                if await pubsub.get_message(timeout=self._operation_timeout) is None:
                    raise TimeoutError
            except BaseException:
                await _close_pubsub(pubsub)
                raise
        return pubsub

    async def _next_message(self, pubsub: PubSub) -> Any:
        """The next message of any type. After a silence, ping the server, because a dead connection is silent too."""
        message = await pubsub.get_message(timeout=self._listener_timeout)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=self._listener_timeout)
        if message is None:
            raise TimeoutError
        return message

    def _value_key(self, key: str) -> bytes:
        return self._add_prefix(store_keys.REDIS_VALUE + key)

    def _set_key(self, key: str) -> bytes:
        return self._add_prefix(store_keys.REDIS_SET + key)

    def _channel_name(self, channel: str) -> bytes:
        return self._add_prefix(store_keys.REDIS_CHANNEL + channel)

    def _add_prefix(self, name: str) -> bytes:
        return _encode(self._prefix + name)


async def _close_pubsub(pubsub: PubSub) -> None:
    await pubsub.aclose()  # type: ignore[no-untyped-call]


def _encode(text: str) -> bytes:
    """The text in UTF-8, including lone surrogates, which JSON may contain."""
    return text.encode("utf-8", "surrogatepass")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _milliseconds(lifetime: float | None) -> bytes:
    """A lifetime for the scripts: at least one millisecond, rounded up; empty for None, which means forever."""
    return b"" if lifetime is None else b"%d" % max(1, math.ceil(min(lifetime * 1000, _MAX_LIFETIME_MILLISECONDS)))


def _expiry_arguments(lifetime: float | None) -> tuple[bytes, ...]:
    return () if lifetime is None else (b"PX", _milliseconds(lifetime))
