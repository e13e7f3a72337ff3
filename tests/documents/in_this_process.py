"""An executor for tests of what comes after it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from bhasa.documents.accounts import Account
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.reading import read_all
from bhasa.documents.records import Partition, Refused
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Result
from bhasa.documents.worker import results


class InThisProcess:
    def __init__(self, config: IngestConfig) -> None:
        self.config = config

    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        for batch in batches:
            yield chain.from_iterable((*self._results(task), None) for task in batch)

    def _results(self, task: Task) -> Iterator[Result]:
        job = task.open()
        if isinstance(job, Refused):
            return iter([Result(job, 0, task.partition.media_type)])
        return results(job, self.config)


def add_all(corpus: Corpus, *partitions: Partition, place: int = 0) -> list[Account]:
    tasks = (Task(place, "raw", partition) for partition in partitions)
    read = read_all(tasks, InThisProcess(corpus.config))
    return [corpus.add(task.partition, found, task.place) for task, found in read]
