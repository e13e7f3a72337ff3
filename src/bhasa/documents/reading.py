"""From partitions to what became of their records, in the order of the partitions, by an executor.

Partitions are put into batches, so that many small files cost little more than one large one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import tee

from bhasa.documents.executors import Executor
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Result

BATCH_BYTES, BATCH_FILES = 1 << 20, 200


def read_all(tasks: Iterable[Task], executor: Executor) -> Iterator[tuple[Task, Iterator[Result]]]:
    """Every task with its results, which are to be taken before the next task is."""
    batches, to_do = tee(_batches(tasks))
    for batch, results in zip(batches, executor.map(to_do), strict=True):
        for task in batch:
            yield task, _until_none(results)


def _batches(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in tasks:
        length = task.partition.size
        if batch and (size + length > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += length
    if batch:
        yield batch


def _until_none(results: Iterator[Result | None]) -> Iterator[Result]:
    for result in results:
        if result is None:
            return
        yield result
