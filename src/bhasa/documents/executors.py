"""Where files are read. `EXECUTORS` maps `data_executor` of a hardware profile to what reads them.

What is written does not depend on it: each executor gives the same results in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import tee
from typing import Protocol, Self

from bhasa.documents.config import IngestConfig
from bhasa.documents.records import Refused
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Job, Result
from bhasa.documents.workers import Processes
from bhasa.errors import UserError


class Executor(Protocol):
    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        """For each batch the results of its tasks in their order, each task's followed by None.

        Those of one batch are all taken before the next batch's are asked for.
        """


class Local:
    """This process opens the files, and a pool of worker processes reads them."""

    def __init__(self, config: IngestConfig, workers: int) -> None:
        self._processes = Processes(config, workers)

    def __enter__(self) -> Self:
        self._processes.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(*error)

    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        opened, to_do = tee([(task, task.open()) for task in batch] for batch in batches)
        answers = self._processes.map([job for _, job in batch if isinstance(job, Job)] for batch in to_do)
        for batch, results in zip(opened, answers, strict=True):
            yield _in_order(batch, results)


def _in_order(
    batch: Sequence[tuple[Task, Job | Refused]], results: Iterator[Result | None]
) -> Iterator[Result | None]:
    for task, job in batch:
        if isinstance(job, Refused):
            yield Result(job, 0, task.partition.media_type)
            yield None
            continue
        for result in results:
            yield result
            if result is None:
                break


def _ray_cluster(config: IngestConfig, workers: int) -> AbstractContextManager[Executor]:
    try:
        from bhasa.documents.ray_cluster import RayCluster
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise UserError("data_executor: ray: Ray is not installed; pip install 'bhasa[ray]'") from None
    return RayCluster(config, workers)


EXECUTORS: dict[str, Callable[[IngestConfig, int], AbstractContextManager[Executor]]] = {
    "processes": Local,
    "ray": _ray_cluster,
}


def open_executor(kind: str, workers: int, config: IngestConfig) -> AbstractContextManager[Executor]:
    """Ready to work in the block; `workers` is how many files it reads at a time."""
    return EXECUTORS[kind](config, workers)
