"""A pool of processes that read files: `worker.py` is what one of them runs, `sandbox.py` has its limits.

Results come in the order of the jobs, whatever the number of workers. A worker that dies takes the one file
with it that it was reading: its other files are asked for again, one at a time, and the file that ended it
is tried once more in a new process, so that nothing depends on what else a worker has read. What is read
ahead of the results taken so far is bounded in bytes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from queue import Full, Queue
from threading import Event
from typing import Self

from bhasa.documents import wire
from bhasa.documents.config import IngestConfig
from bhasa.documents.records import quarantined
from bhasa.documents.sandbox import ENVIRONMENT, seconds_for
from bhasa.documents.wire import Job, Message, Result
from bhasa.documents.worker import NO_MEMORY
from bhasa.errors import BhasaError

WORKER_MODULE = "bhasa.documents.worker"
START_SECONDS = 120.0
SILENT_PER_SECOND = 5  # a reader waits for nothing, so this only ends what the processor limit cannot
AHEAD_BYTES = 64 << 20  # of jobs whose results are not all taken; at least one for each worker
FRAMES = 2  # of results that wait for their turn, for each batch

Batch = Sequence[Job]


class Death(Exception):
    """A worker is gone; the message says why in words for an account."""


class Worker:
    """One process. `is_new` until it was first asked for something."""

    def __init__(self, config: bytes) -> None:
        self.is_new = True
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER_MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            self._pipe.send_bytes(config)
            is_ready = self._pipe.poll(START_SECONDS) and self._pipe.recv_bytes() == b"ready"
        except (OSError, EOFError):
            is_ready = False
        if not is_ready:
            self.close()
            raise BhasaError("a process to read files in did not start; `make setup` installs what it needs")

    def ask(self, batch: Batch) -> Iterator[list[Result | None]]:
        """Results as they come, each job's followed by None; `Death` where they end before all are there."""
        self.is_new = False
        silence = SILENT_PER_SECOND * max(seconds_for(len(job.content)) for job in batch)
        left = len(batch)
        try:
            self._pipe.send_bytes(b"".join(map(wire.pack_job, batch)))
            while left:
                if not self._pipe.poll(silence):
                    raise Death("its reader does not answer")
                results = list(map(result_of, wire.unpack(self._pipe.recv_bytes())))
                left -= results.count(None)
                yield results
        except (OSError, EOFError, ValueError, TypeError, KeyError):
            raise Death(self._why()) from None

    def kill(self) -> None:
        """Whoever waits for an answer gets `Death`."""
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _why(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "its reader answers nonsense"
        return {
            NO_MEMORY: "takes more memory to read than it may",
            -signal.SIGXCPU: "takes more processor time to read than it may",
        }.get(code, "its reader crashed")


class Stream:
    """Results of a batch on their way from the thread that waits for a worker to where they are taken."""

    def __init__(self, closing: Event) -> None:
        self._closing = closing
        self._queue: Queue[list[Result | None] | BaseException] = Queue(FRAMES)

    def put(self, item: list[Result | None] | BaseException) -> None:
        """Wait for room; no results end the stream, an exception is raised where it is read."""
        while not self._closing.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=0.5)
                break

    def __iter__(self) -> Iterator[Result | None]:
        while item := self._queue.get():
            if isinstance(item, BaseException):
                raise item
            yield from item


class Processes:
    """So many workers, each started when it is first needed, and another in its place when it died."""

    def __init__(self, config: IngestConfig, workers: int) -> None:
        self._config = json.dumps(config.as_mapping()).encode()
        self._count = workers
        self._threads = ThreadPoolExecutor(workers)  # one waits for each worker
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._closing = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for worker in list(self._workers):
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in list(self._workers):
            self._remove(worker)

    def map(self, batches: Iterable[Batch]) -> Iterator[Iterator[Result | None]]:
        ahead: deque[tuple[int, Stream]] = deque()
        for batch in batches:
            stream = Stream(self._closing)
            self._threads.submit(self._answer, batch, stream)
            ahead.append((sum(len(job.content) for job in batch), stream))
            while self._is_enough([size for size, _ in ahead]):
                yield iter(ahead.popleft()[1])
        while ahead:
            yield iter(ahead.popleft()[1])

    def _is_enough(self, sizes: list[int]) -> bool:
        """Whether so many batches in flight keep every worker busy, or are all that memory should hold."""
        return len(sizes) > self._count and (len(sizes) > 3 * self._count or sum(sizes) > AHEAD_BYTES)

    def _answer(self, batch: Batch, stream: Stream) -> None:
        try:
            if batch:
                self._ask(batch, stream, self._take())
            stream.put([])
        except BaseException as error:  # raised again where the results are taken
            stream.put(error)

    def _ask(self, batch: Batch, stream: Stream, worker: Worker) -> None:
        """Put the results of all jobs into the stream, whatever becomes of the worker."""
        alone, was_new = batch[0].alone, worker.is_new
        done = sent = 0  # jobs, and results of the one that follows them
        try:
            for results in worker.ask(batch):
                stream.put(results)
                for result in results:
                    done, sent = (done + 1, 0) if result is None else (done, sent + 1)
            self._idle.append(worker)
        except Death as death:
            self._remove(worker)
            rest = [replace(job, alone=True) for job in batch[done:]]
            rest[0] = replace(rest[0], skip=rest[0].skip + sent)
            if alone and was_new:
                stream.put(_refusal(rest[0], str(death)))
            else:
                for job in rest:
                    self._ask([job], stream, self._start() if alone else self._take())

    def _take(self) -> Worker:
        return self._idle.pop() if self._idle else self._start()

    def _start(self) -> Worker:
        worker = Worker(self._config)
        self._workers.add(worker)
        if self._closing.is_set():  # after the line above, so that whoever closes cannot miss it
            raise BhasaError("reading was stopped")
        return worker

    def _remove(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.close()


def result_of(message: Message) -> Result | None:
    """The result that a worker sent; None where all of a job are there."""
    if "cannot" in message.values:
        raise BhasaError(f"{message.values['cannot']}; `make setup` installs what reading needs")
    return None if "end" in message.values else wire.unpack_result(message)


def _refusal(job: Job, reason: str) -> list[Result | None]:
    """What there is instead of the rest of the job that ended a worker."""
    refused = quarantined(reason, f"after record {job.skip}" if job.skip else "")
    return [Result(refused, 0, job.media_type), None]
