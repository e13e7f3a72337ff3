"""Where files are read. `EXECUTORS` maps `data_executor` of a hardware profile to what reads them.

What is written does not depend on it: each executor gives the same results in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain, tee
from typing import Protocol, Self

from bhasa.documents.config import IngestConfig
from bhasa.documents.parse_cache import ParseCache
from bhasa.documents.records import Refused
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Job, Result
from bhasa.documents.workers import Processes


class Executor(Protocol):
    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        """For each batch the results of its tasks in their order, each task's followed by None.

        Those of one batch are all taken before the next batch's are asked for.
        """


class Local:
    """This process opens the files, and a pool of worker processes reads them."""

    def __init__(self, config: IngestConfig, workers: int, cache: ParseCache | None = None) -> None:
        self._processes = Processes(config, workers)
        self._cache = cache

    def __enter__(self) -> Self:
        self._processes.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.__exit__(*error)

    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        opened, to_do = tee([(task, self._open(task)) for task in batch] for batch in batches)
        answers = self._processes.map([job for _, job in batch if isinstance(job, Job)] for batch in to_do)
        for batch, results in zip(opened, answers, strict=True):
            yield chain.from_iterable(self._results(task, job, results) for task, job in batch)

    def _open(self, task: Task) -> Job | Refused:
        job = task.open()
        return self._cache.look_up(job) if self._cache and isinstance(job, Job) else job

    def _results(
        self, task: Task, job: Job | Refused, results: Iterator[Result | None]
    ) -> Iterator[Result | None]:
        """Of one task, up to its None, from those of a batch."""
        if isinstance(job, Refused):
            yield from (Result(job, 0, task.partition.media_type), None)
        elif job.key and self._cache:
            yield from self._cache.keep(job.key, results)
        else:
            for result in results:
                yield result
                if result is None:
                    return


def _cluster(
    config: IngestConfig, workers: int, cache: ParseCache | None
) -> AbstractContextManager[Executor]:
    from bhasa.documents.cluster import Cluster  # brings Ray

    return Cluster(config, workers)


Open = Callable[[IngestConfig, int, ParseCache | None], AbstractContextManager[Executor]]

EXECUTORS: dict[str, Open] = {
    "processes": Local,
    "ray": _cluster,
}


def open_executor(
    kind: str, workers: int, config: IngestConfig, cache: ParseCache | None = None
) -> AbstractContextManager[Executor]:
    """Ready to work in the block; `workers` is how many files it reads at a time.

    The cache is of this machine, so a cluster does without it.
    """
    return EXECUTORS[kind](config, workers, cache)
