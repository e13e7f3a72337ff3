"""From partitions to what became of their records, in the order of the partitions, by an executor.

Partitions are put into batches, so that many small files cost little more than one large one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

from bhasa.documents.executors import Executor
from bhasa.documents.records import Partition, Refused
from bhasa.documents.wire import Job, Result

BATCH_BYTES, BATCH_FILES = 1 << 20, 200


@dataclass(frozen=True)
class Task:
    """What is to be read."""

    place: int
    """Of its source in `ingest.sources`."""
    partition: Partition
    job: Job | Refused
    """For a worker, or why there is nothing to read."""


def open_task(partition: Partition, place: int, domain: str) -> Task:
    try:
        content = partition.content()
    except Refused as refusal:
        return Task(place, partition, refusal)
    known = (partition.name, partition.media_type, partition.language, domain, partition.module)
    return Task(place, partition, Job(*known, content))


def read_all(tasks: Iterable[Task], executor: Executor) -> Iterator[tuple[Task, Iterator[Result]]]:
    """Every task with its results, which are to be taken before the next task is."""
    batches, to_do = tee(_batches(tasks))
    answers = executor.map([task.job for task in batch if isinstance(task.job, Job)] for batch in to_do)
    for batch, results in zip(batches, answers, strict=True):
        for task in batch:
            yield task, _results(task, results)


def _batches(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in tasks:
        length = len(task.job.content) if isinstance(task.job, Job) else 0
        if batch and (size + length > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += length
    if batch:
        yield batch


def _results(task: Task, results: Iterator[Result | None]) -> Iterator[Result]:
    if isinstance(task.job, Refused):
        yield Result(task.job, 0, task.partition.media_type)
        return
    for result in results:
        if result is None:
            return
        yield result
