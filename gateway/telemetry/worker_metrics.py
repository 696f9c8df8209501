"""The metrics of several worker processes, added up by whichever of them Prometheus asks.

Each worker writes what it counts into a place of its own in shared memory, once a second and whenever it is asked. A
worker that takes the place of one that died goes on from its counters, so that no sum ever falls.
"""

import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric

PUBLISH_SECONDS = 1.0

# Bytes. Pages that nobody writes to take no memory.
_SNAPSHOT_BYTES = 8 * 1024 * 1024
# Which half of a place holds the newest snapshot; and before each, its length and checksum.
_HALF, _HEAD = struct.Struct("=I"), struct.Struct("=II")


class _Family(msgspec.Struct):
    """One metric with all its series: name of the sample, labels, value."""

    name: str
    documentation: str
    type: str
    samples: list[tuple[str, dict[str, str], float]]


_decoder = msgspec.msgpack.Decoder(list[_Family])


class SharedSnapshots:
    """Places in memory that the supervisor shares with the workers that it forks."""

    def __init__(self, count: int) -> None:
        self._places = [mmap.mmap(-1, _HALF.size + 2 * (_HEAD.size + _SNAPSHOT_BYTES)) for _ in range(count)]

    def write(self, place: int, families: list[_Family]) -> None:
        """Replace the snapshot of a place. Raises `ValueError` if it is too large.

        It goes into the half that nobody reads; a worker that dies meanwhile leaves the one before.
        """
        snapshot = msgspec.msgpack.encode(families)
        if len(snapshot) > _SNAPSHOT_BYTES:
            raise ValueError("The metrics of a worker are too large to be shared.")
        memory = self._places[place]
        half = 1 - _HALF.unpack_from(memory)[0]
        start = self._start(half)
        _HEAD.pack_into(memory, start, len(snapshot), zlib.crc32(snapshot))
        memory[start + _HEAD.size : start + _HEAD.size + len(snapshot)] = snapshot
        _HALF.pack_into(memory, 0, half)

    def read(self) -> Iterator[list[_Family]]:
        """The snapshots of all places."""
        return (self.read_place(place) for place in range(len(self._places)))

    def read_place(self, place: int) -> list[_Family]:
        """The snapshot of a place; empty if there is none.

        It is read again if its worker has replaced it twice meanwhile.
        """
        memory = self._places[place]
        while True:
            start = self._start(_HALF.unpack_from(memory)[0])
            length, checksum = _HEAD.unpack_from(memory, start)
            snapshot = memory[start + _HEAD.size : start + _HEAD.size + length]
            if zlib.crc32(snapshot) == checksum:
                return _decoder.decode(snapshot) if length else []

    @staticmethod
    def _start(half: int) -> int:
        return _HALF.size + half * (_HEAD.size + _SNAPSHOT_BYTES)


class WorkerMetrics:
    """The metrics of one worker, and the sum over all."""

    def __init__(
        self, registry: CollectorRegistry, snapshots: SharedSnapshots, place: int, *, predecessors: int = 0
    ) -> None:
        """`registry` has the metrics of this worker. Counters of earlier ones in this place go on."""
        self._registry = registry
        self._snapshots = snapshots
        self._place = place
        replacements = CounterMetricFamily(
            "smart_gateway_worker_replacements", "Workers that took the place of one that had died.", predecessors
        )
        self._replacements = _read_family(replacements)
        self._earlier = [
            family
            for family in snapshots.read_place(place)
            if family.type in {"counter", "histogram"} and family.name != replacements.name
        ]
        self._sum = CollectorRegistry()
        self._sum.register(self)

    def publish(self) -> None:
        """Let the other workers see the metrics of this one."""
        own = [self._replacements, *map(_read_family, self._registry.collect())]
        self._snapshots.write(self._place, _add_up([own, self._earlier]))

    def collect(self) -> Iterator[Metric]:
        """The sum over all workers; called by the registry of the sum."""
        for family in _add_up(self._snapshots.read()):
            metric = Metric(family.name, family.documentation, family.type)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric

    def exposition_text(self) -> bytes:
        """The sum over all workers in the Prometheus text format."""
        self.publish()
        return generate_latest(self._sum)


def _read_family(metric: Metric) -> _Family:
    samples = [(sample.name, sample.labels, sample.value) for sample in metric.samples]
    return _Family(metric.name, metric.documentation, metric.type, samples)


def _add_up(snapshots: Iterable[list[_Family]]) -> list[_Family]:
    """One family of each name. Points in time do not add up: the earliest holds; nor does what is always 1."""
    families: dict[str, _Family] = {}
    values: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
    for family in chain.from_iterable(snapshots):
        families.setdefault(family.name, _Family(family.name, family.documentation, family.type, []))
        for name, labels, value in family.samples:
            key = (family.name, name, tuple(labels.items()))
            earlier = values.get(key)
            values[key] = value if earlier is None else _combine(name, earlier, value)
    for (family_name, name, pairs), value in values.items():
        families[family_name].samples.append((name, dict(pairs), value))
    return list(families.values())


def _combine(name: str, one: float, other: float) -> float:
    if name.endswith(("_timestamp_seconds", "_start_time_seconds")):
        return min(one, other)
    return max(one, other) if name.endswith("_info") else one + other
