"""Writes to Redis that count only once replicas have them, so that a failover forgets none that was answered.

Redis replicates asynchronously: a replica that becomes the primary may not know that a code was taken, and would give
it out again. `WAIT` says how many replicas have all writes of the same connection. A write that too few have is an
error, although the primary carried it out: a code is then lost rather than used twice (A-14, edge case 46).
"""

from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import AskError, ClusterDownError, MovedError, TimeoutError

Command = tuple[bytes | str | int, ...]
Key = bytes | str | int

_ASKING: Command = ("ASKING",)


class TooFewReplicasError(TimeoutError):
    """The primary carried the command out, but too few replicas have it in time."""


class ConfirmedWrites:
    """Sends commands to the primary and waits until `replicas` replicas have them, for up to `timeout` seconds."""

    def __init__(self, client: Redis | RedisCluster, replicas: int, timeout: float) -> None:
        self._client = client
        self._replicas = replicas
        self._wait: Command = ("WAIT", replicas, max(1, round(timeout * 1000)))
        self._topology_is_stale = False

    async def send(self, key: Key, command: Command) -> Any:
        """The response to a command that writes `key`. Raises `TooFewReplicasError` and what the client raises."""
        if isinstance(self._client, RedisCluster):
            response, confirmed = await self._send_to_cluster(self._client, key, command)
        else:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.execute_command(*command)
            pipeline.execute_command(*self._wait)
            response, confirmed = await pipeline.execute()
        if confirmed < self._replicas:
            raise TooFewReplicasError(f"{confirmed} of {self._replicas} replicas confirmed a write")
        return response

    async def _send_to_cluster(self, cluster: RedisCluster, key: Key, command: Command) -> tuple[Any, int]:
        """The response and the number of replicas. A node that does not have the key says which one to ask instead."""
        if self._topology_is_stale:
            await cluster.nodes_manager.initialize()
            self._topology_is_stale = False
        response, confirmed = await self._send_to_node(cluster, _node_of(cluster, key), command)
        if isinstance(response, MovedError):
            await cluster.nodes_manager.move_slot(response)
            response, confirmed = await self._send_to_node(cluster, _node_of(cluster, key), command)
        elif isinstance(response, AskError):
            asked = cluster.get_node(host=response.host, port=response.port)
            if asked is not None:
                response, confirmed = await self._send_to_node(cluster, asked, command, _ASKING)
        self._topology_is_stale |= isinstance(response, MovedError | AskError | ClusterDownError)
        for result in (response, confirmed):
            if isinstance(result, Exception):
                raise result
        return response, confirmed

    async def _send_to_node(
        self, cluster: RedisCluster, node: ClusterNode, command: Command, *before: Command
    ) -> tuple[Any, Any]:
        """The responses to a command and to WAIT on one connection, or errors in their place."""
        pipeline = cluster.pipeline()
        for each in (*before, command, self._wait):
            pipeline.execute_command(*each, target_nodes=node)
        try:
            *_, response, confirmed = await pipeline.execute(raise_on_error=False, allow_redirections=False)
        except BaseException:
            # The node is away, or slower than the caller waits: another may be the primary by now.
            node.update_active_connections_for_reconnect()
            cluster.nodes_manager.move_node_to_end_of_cached_nodes(node.name)
            self._topology_is_stale = True
            raise
        return response, confirmed


def _node_of(cluster: RedisCluster, key: Key) -> ClusterNode:
    node = cluster.get_node_from_key(key)  # type: ignore[arg-type]  # it encodes what is not bytes, and takes bytes
    assert node is not None, "only a search for replicas finds none"
    return node
