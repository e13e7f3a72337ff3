"""Where jobs are done. `EXECUTORS` maps `data_executor` of a hardware profile to what does them.

What is written does not depend on it: each executor gives the same results in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bhasa.documents.config import IngestConfig
from bhasa.documents.wire import Job, Result
from bhasa.documents.workers import Processes


class Executor(Protocol):
    def map(self, batches: Iterable[Sequence[Job]]) -> Iterator[Iterator[Result | None]]:
        """For each batch the results of its jobs in their order, each job's followed by None.

        Those of one batch are all taken before the next batch's are asked for.
        """


EXECUTORS: dict[str, Callable[[IngestConfig, int], AbstractContextManager[Executor]]] = {
    "processes": Processes,
}


def open_executor(kind: str, workers: int, config: IngestConfig) -> AbstractContextManager[Executor]:
    """Ready to work in the block; `workers` is how many jobs it does at a time."""
    return EXECUTORS[kind](config, workers)
