"""The store of many workers: Redis or Valkey, standalone, under Sentinel or as a Cluster."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisClusterException, RedisError

from gateway.storage.redis_servers import Servers, Standalone, client_for
from gateway.storage.store import StoreAwayError

_Command = tuple[bytes | str | int, ...]

_LONGEST = 2**53
"""Milliseconds: what is longer is as good as for ever, and would not fit into the server's clock."""

# uvloop says RuntimeError of a write to a transport that the server has just closed, and a stream that ends within an
# answer says EOFError; redis-py passes both on as they are.
_AWAY = (RedisError, RedisClusterException, OSError, TimeoutError, EOFError, RuntimeError)

_QUICK_REPEAT = (0.05,)
_FAILOVER_REPEATS = (0.1, 0.3, 0.9, 1.8)
"""Seconds between tries: a failover that Sentinel sees within a second is over after two or three."""

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""

_COUNT = """
if redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) then return 1 end
return redis.call('INCR', KEYS[1])
"""

_ADD = """
local left = redis.call('PTTL', KEYS[1])
redis.call('SADD', KEYS[1], ARGV[1])
if ARGV[2] == '' then redis.call('PERSIST', KEYS[1])
elseif left == -2 or left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""


class RedisStore:
    """A `Store` on Redis 6.2 or later, or Valkey.

    `connect_timeout` and `operation_timeout` are seconds; no operation lasts longer than both together, its repeats
    included. Repeated are only operations that may be carried out twice: `get`, `put`, `add`, `members`, `ping`. The
    others raise `StoreAwayError` even though they may have been carried out.
    `lanes` is how many operations go to the servers at once, so that a rush does not open as many connections.
    A listener asks for a sign of life when it has heard nothing for `silence` seconds.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        key_prefix: str = "smart-gateway:",
        connect_timeout: float = 2.0,
        operation_timeout: float = 2.0,
        lanes: int = 32,
        silence: float = 10.0,
    ) -> None:
        self._client = client_for(servers, connect_timeout, operation_timeout)
        self._prefix = key_prefix
        self._operation_timeout = operation_timeout
        self._patience = connect_timeout + operation_timeout
        self._lanes = asyncio.Semaphore(lanes)
        self._silence = silence
        self._pauses = _QUICK_REPEAT if isinstance(servers, Standalone) else _FAILOVER_REPEATS
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        value: bytes | None = await self._repeatedly("GET", self._value(key))
        return value

    async def put(self, key: str, value: bytes, lifetime: float | None) -> None:
        """See `Store.put`."""
        await self._repeatedly("SET", self._value(key), value, *_expiry(lifetime))

    async def put_new(self, key: str, value: bytes, lifetime: float | None) -> bool:
        """See `Store.put_new`."""
        return bool(await self._once("SET", self._value(key), value, "NX", *_expiry(lifetime)))

    async def take(self, key: str) -> bytes | None:
        """See `Store.take`."""
        value: bytes | None = await self._once("GETDEL", self._value(key))
        return value

    async def replace(self, key: str, expected: bytes, value: bytes, lifetime: float | None) -> bool:
        """See `Store.replace`."""
        return bool(await self._once("EVAL", _REPLACE, 1, self._value(key), expected, value, _milliseconds(lifetime)))

    async def delete(self, key: str) -> bool:
        """See `Store.delete`."""
        return bool(await self._once("DEL", self._value(key)))

    async def count(self, key: str, lifetime: float) -> int:
        """See `Store.count`. Raises `StoreAwayError` if a value is there that is not a count."""
        return int(await self._once("EVAL", _COUNT, 1, self._value(key), _milliseconds(lifetime)))

    async def add(self, key: str, member: str, lifetime: float | None) -> None:
        """See `Store.add`."""
        await self._repeatedly("EVAL", _ADD, 1, self._set(key), _encoded(member), _milliseconds(lifetime))

    async def remove(self, key: str, member: str) -> None:
        """See `Store.remove`."""
        await self._once("SREM", self._set(key), _encoded(member))

    async def members(self, key: str) -> frozenset[str]:
        """See `Store.members`."""
        return frozenset(_decoded(member) for member in await self._repeatedly("SMEMBERS", self._set(key)))

    async def publish(self, channel: str, message: str) -> None:
        """See `Store.publish`. A Cluster tells all its nodes."""
        await self._once("PUBLISH", self._channel(channel), _encoded(message))

    async def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """See `Store.listen`."""
        with self._away_told():
            pubsub = await self._subscribed(channel)
        try:
            while True:
                with self._away_told():
                    message = await self._heard(pubsub)
                if message["type"] == "message":
                    yield _decoded(message["data"])
        finally:
            await _given_up(pubsub)

    async def ping(self) -> None:
        """See `Store.ping`. It writes, since a replica answers too."""
        await self._repeatedly("SET", self._encoded_name("ping"), b"", "PX", 1000)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        self._closed = True
        await self._client.aclose()

    async def _once(self, *command: bytes | str | int) -> Any:
        return await self._answer(command, ())

    async def _repeatedly(self, *command: bytes | str | int) -> Any:
        return await self._answer(command, self._pauses)

    async def _answer(self, command: _Command, pauses: tuple[float, ...]) -> Any:
        """The answer to the command, sent again after each of the pauses while there is none."""
        with self._away_told():
            async with asyncio.timeout(self._patience), self._lanes:
                for pause in pauses:
                    try:
                        return await self._sent(command)
                    except _AWAY:
                        await asyncio.sleep(pause)
                return await self._sent(command)

    @contextmanager
    def _away_told(self) -> Iterator[None]:
        """Whatever keeps us from the servers, or them from doing what they are told, is `StoreAwayError`."""
        if self._closed:
            raise StoreAwayError("The store is closed.")
        try:
            yield
        except _AWAY as error:
            raise StoreAwayError(f"The store does not answer, or refuses ({type(error).__name__}).") from error

    async def _sent(self, command: _Command) -> Any:
        await self._client.commands.initialize()
        return await self._client.commands.execute_command(*command)

    async def _subscribed(self, channel: str) -> PubSub:
        """A connection on which the server has confirmed the subscription."""
        async with asyncio.timeout(self._patience):
            await self._client.commands.initialize()
            pubsub = self._client.commands.pubsub()
            try:
                await pubsub.subscribe(self._channel(channel))
                if await pubsub.get_message(timeout=self._operation_timeout) is None:
                    raise TimeoutError
            except BaseException:
                await _given_up(pubsub)
                raise
        return pubsub

    async def _heard(self, pubsub: PubSub) -> Any:
        """The next message of any type; asks for one when it is long in coming, since a dead line is silent too."""
        message = await pubsub.get_message(timeout=self._silence)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=self._operation_timeout)
        if message is None:
            raise TimeoutError
        return message

    def _value(self, key: str) -> bytes:
        return self._encoded_name("value:" + key)

    def _set(self, key: str) -> bytes:
        return self._encoded_name("set:" + key)

    def _channel(self, channel: str) -> bytes:
        return self._encoded_name("channel:" + channel)

    def _encoded_name(self, name: str) -> bytes:
        return _encoded(self._prefix + name)


async def _given_up(pubsub: PubSub) -> None:
    await pubsub.aclose()  # type: ignore[no-untyped-call]


def _encoded(text: str) -> bytes:
    """Any text as bytes: a lone surrogate, which JSON may bring, too."""
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _milliseconds(lifetime: float | None) -> bytes:
    """A lifetime as the scripts read it: at least one millisecond, rounded up; nothing is for ever."""
    return b"" if lifetime is None else b"%d" % max(1, math.ceil(min(lifetime * 1000, _LONGEST)))


def _expiry(lifetime: float | None) -> tuple[bytes, ...]:
    return () if lifetime is None else (b"PX", _milliseconds(lifetime))
