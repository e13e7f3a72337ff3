"""Reading on the machines of a Ray cluster.

Each task of Ray's opens the files of a batch itself, so the folders of `ingest.sources` must be at the same
place on every machine, and has them read by a worker process of its own, under the same limits as anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Self

from bhasa.documents import wire
from bhasa.documents.config import IngestConfig
from bhasa.documents.executors import Local
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Result
from bhasa.documents.workers import result_of
from bhasa.ray_cluster import RayCluster


class Cluster:
    """So many batches are read at a time."""

    def __init__(self, config: IngestConfig, workers: int) -> None:
        self._config = json.dumps(config.as_mapping())
        self._cluster = RayCluster(workers)

    def __enter__(self) -> Self:
        self._cluster.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._cluster.__exit__(*error)

    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        read = partial(_read, config=self._config)
        for messages in self._cluster.map(read, map(list, batches)):
            yield map(result_of, wire.unpack(messages))


def _read(batch: Sequence[Task], config: str) -> bytes:
    """The results of a batch as messages."""
    (results,) = _local(config).map([batch])
    return b"".join(wire.END if result is None else wire.pack_result(result) for result in results)


@cache
def _local(config: str) -> Local:
    """Kept from batch to batch; its worker ends with this process, whose end of the pipe it reads from."""
    return Local(IngestConfig.parse(json.loads(config), "ingest"), workers=1, cache=None).__enter__()
