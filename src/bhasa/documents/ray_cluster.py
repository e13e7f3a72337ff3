"""Reading on the machines of a Ray cluster, through Ray Data: an extra, `pip install 'bhasa[ray]'`.

Each Ray task opens the files of a batch itself, so the folders of `ingest.sources` must be at the same place
on every machine, and has them read by a worker process of its own, under the same limits as anywhere. Which
cluster it is says `RAY_ADDRESS`; without it Ray takes the one on this machine, or starts one.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import ray
import ray.data
from ray.exceptions import RayError

from bhasa.documents import wire
from bhasa.documents.config import IngestConfig
from bhasa.documents.executors import Local
from bhasa.documents.tasks import Task
from bhasa.documents.wire import Result
from bhasa.documents.workers import result_of
from bhasa.errors import BhasaError

WINDOW = 10_000  # batches that are handed over at a time: their addresses are in memory
CONNECT_SECONDS = 10.0


class RayCluster:
    """So many batches are read at a time, on whichever machines have room."""

    def __init__(self, config: IngestConfig, workers: int) -> None:
        self._config = json.dumps(config.as_mapping())
        self._workers = workers

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        _require_cluster(os.environ.get("RAY_ADDRESS", ""))
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RayError) as error:
            raise BhasaError(f"data_executor: ray: no cluster ({_last_line(error)})") from None
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    def map(self, batches: Iterable[Sequence[Task]]) -> Iterator[Iterator[Result | None]]:
        waiting = iter(batches)
        while window := [{"tasks": list(batch)} for batch in islice(waiting, WINDOW)]:
            answers = ray.data.from_items(window, override_num_blocks=len(window)).map(
                partial(_read, config=self._config, folder=str(Path.cwd())),
                compute=ray.data.TaskPoolStrategy(size=self._workers),
            )
            try:
                for row in answers.iter_rows():
                    yield map(result_of, wire.unpack(row["results"]))
            except RayError as error:
                raise BhasaError(f"data_executor: ray: {_last_line(error)}") from None


def _require_cluster(address: str) -> None:
    """Ray itself would try for minutes to reach an address where nothing answers."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        except OSError as error:
            reason = error.strerror or error
            raise BhasaError(f"data_executor: ray: no cluster at RAY_ADDRESS {address}: {reason}") from None


def _read(row: dict[str, Any], config: str, folder: str) -> dict[str, bytes]:
    """In a process of Ray's: the results of a batch as messages."""
    (results,) = _local(config, folder).map([row["tasks"]])
    return {"results": b"".join(wire.END if r is None else wire.pack_result(r) for r in results)}


@cache
def _local(config: str, folder: str) -> Local:
    """Kept from batch to batch; its worker ends with this process, whose end of the pipe it reads from."""
    os.chdir(folder)
    return Local(IngestConfig.parse(json.loads(config), "ingest"), workers=1).__enter__()


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
