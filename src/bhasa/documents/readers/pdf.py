"""PDF through pypdf, in a process of its own that may be killed.

A broken or malicious PDF can make any parser loop or take all memory, so the parser runs in a worker with
limits on processor time, memory and wall time; what it did not answer in time is quarantined and the next
file gets a new worker. One worker serves many files. Only text comes back over the pipe.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from bhasa.documents.records import Text, quarantined
from bhasa.errors import BhasaError

WORKER_MODULE = "bhasa.documents.readers.pdf_worker"
CPU_SECONDS = 10
WALL_SECONDS = 60.0  # a parse waits for nothing, so this only ends what the processor limit cannot
MEMORY_BYTES = 1 << 30
START_SECONDS = 60.0


class Worker:
    """A child process that parses PDFs, started when first needed and again after each death."""

    def __init__(
        self,
        *,
        cpu_seconds: int = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.cpu_seconds, self.wall_seconds, self.memory_bytes = cpu_seconds, wall_seconds, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection

    def read(self, content: bytes) -> Text:
        if self._process is None:
            self._start()
        try:
            self._pipe.send_bytes(content)
            if not self._pipe.poll(self.wall_seconds):
                raise TimeoutError
            answer = json.loads(self._pipe.recv_bytes())
        except (OSError, EOFError):  # killed by a limit, crashed or silent
            self.close()
            allowed = f"{self.cpu_seconds} s or {self.memory_bytes >> 20:,} MiB"
            raise quarantined(f"PDF that takes more than {allowed} to read") from None
        if "refused" in answer:
            raise quarantined(answer["refused"])
        return Text(answer["text"], {"pages": answer["pages"]})

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
            self._process = None

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            limits = [str(self.cpu_seconds), str(self.memory_bytes)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER_MODULE, str(theirs.fileno()), *limits],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        if not self._is_ready():
            self.close()
            raise BhasaError("the PDF worker did not start; run `make setup`, which installs pypdf")

    def _is_ready(self) -> bool:
        try:
            return self._pipe.poll(START_SECONDS) and self._pipe.recv_bytes() == b"ready"
        except EOFError:
            return False


_worker = Worker()
atexit.register(_worker.close)


def read(content: bytes, name: str) -> Iterator[Text]:
    yield _worker.read(content)
