"""All partitions of all sources into a corpus, from wherever an earlier attempt stopped.

What an attempt has read is saved every `SHARD_BYTES` or `SHARD_FILES`. A later one goes on after it, as long
as the partitions it begins with are the same by name and stamp, and what it is gathered by is the same: the
config, the code and the libraries.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.executors import Executor
from bhasa.documents.reading import read_all
from bhasa.documents.records import Partition
from bhasa.documents.sources import Source, open_source
from bhasa.documents.tasks import Task
from bhasa.documents.versions import code_version
from bhasa.errors import Stopped
from bhasa.journal import require_space
from bhasa.progress import progress

SHARD_BYTES, SHARD_FILES = 64 << 20, 5000


def gather(config: IngestConfig, corpus: Corpus, executor: Executor, stop: Callable[[], int | None]) -> None:
    """Raises `Stopped`, with everything saved, when `stop` returns the number of a signal."""
    sources = [open_source(source, max_file_bytes=config.max_file_bytes) for source in config.sources]
    domains = [source.domain for source in config.sources]
    partitions, done = _after_what_is_known(sources, corpus)
    total = sum(source.size for source in sources)
    require_space(corpus.path, total - done, "gathering the documents")
    tasks = (Task(place, domains[place], partition) for place, partition in partitions)
    size = files = 0
    with progress("reading files", total / 1e3, "kB", done / 1e3) as bar:
        for task, results in read_all(tasks, executor):
            account = corpus.add(task.partition, results, task.place)
            bar.advance(account.read_bytes / 1e3)
            size, files = size + account.read_bytes, files + 1
            signum = stop()
            if signum or size >= SHARD_BYTES or files >= SHARD_FILES:
                corpus.commit()
                size = files = 0
            if signum:
                raise Stopped(signum, "what was read so far is kept, and the same command goes on from there")
    corpus.commit()


def identity(config: IngestConfig) -> str:
    """Of what decides which documents come of equal partitions."""
    facts = [config.as_mapping(), code_version()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


Partitions = Iterator[tuple[int, Partition]]
"""Each with the place of its source."""


def _after_what_is_known(sources: Sequence[Source], corpus: Corpus) -> tuple[Partitions, int]:
    """The partitions that the corpus has no account of yet, and the bytes that it has read."""
    partitions, done = _partitions(sources), 0
    for name, stamp, size in corpus.accounts.known():
        _, found = next(partitions, (0, None))
        if found is None or (found.name, found.stamp) != (name, stamp):
            print(f"ingest: {name} is not as it was, so reading starts anew", file=sys.stderr)
            corpus.clear()
            return _partitions(sources), 0
        done += size
    if done:
        print(f"ingest: {len(corpus.accounts):,} files were read before; reading goes on", file=sys.stderr)
    return partitions, done


def _partitions(sources: Sequence[Source]) -> Partitions:
    return chain.from_iterable(
        ((place, partition) for partition in source.partitions()) for place, source in enumerate(sources)
    )
