"""A function on the machines of a Ray cluster, through Ray Data: an extra, `pip install 'bhasa[ray]'`.

Which cluster it is says `RAY_ADDRESS`; without it Ray takes the one on this machine, or starts one. The
project's folder must be at the same place on every machine, where the function then runs.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

from bhasa.errors import BhasaError, UserError

try:
    import ray
    import ray.data
    from ray.exceptions import RayError
except ImportError as error:
    if (error.name or "").partition(".")[0] != "ray":
        raise
    raise UserError("data_executor: ray: Ray is not installed; pip install 'bhasa[ray]'") from None

WINDOW = 10_000  # items that are handed over at a time
CONNECT_SECONDS = 10.0


class RayCluster:
    """Connected while the block lasts; `workers` items are worked on at a time, wherever there is room."""

    def __init__(self, workers: int) -> None:
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

    def map(self, function: Callable[[Any], bytes], items: Iterable[Any]) -> Iterator[bytes]:
        """What the function makes of each item, in their order; it and the items are sent by pickle."""
        waiting = iter(items)
        while window := [{"item": item} for item in islice(waiting, WINDOW)]:
            answers = ray.data.from_items(window, override_num_blocks=len(window)).map(
                partial(_call, function=function, folder=str(Path.cwd())),
                compute=ray.data.TaskPoolStrategy(size=self._workers),
            )
            try:
                for row in answers.iter_rows():
                    yield row["result"]
            except RayError as error:
                raise BhasaError(f"data_executor: ray: {_last_line(error)}") from None


def _call(row: dict[str, Any], function: Callable[[Any], bytes], folder: str) -> dict[str, bytes]:
    """In a process of Ray's."""
    os.chdir(folder)
    return {"result": function(row["item"])}


def _require_cluster(address: str) -> None:
    """Ray itself would try for minutes to reach an address where nothing answers."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        except OSError as error:
            reason = error.strerror or error
            raise BhasaError(f"data_executor: ray: no cluster at RAY_ADDRESS {address}: {reason}") from None


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
