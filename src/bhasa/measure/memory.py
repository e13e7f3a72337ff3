"""Peak memory of a job, in a process of its own so that nothing else has touched the memory before."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

from bhasa.measure.timing import Job


def peak_bytes(prepare: Callable[[], Job]) -> int | None:
    """Bytes that running the job adds, at its peak, to what stood after `prepare`; None but on Linux.

    `prepare` is sent to the process, so it is a function of a module or a `functools.partial` of one.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    context = multiprocessing.get_context("spawn")  # a fork would inherit the parent's memory and its threads
    with context.Pool(1) as pool:
        return pool.apply(_run, (prepare,))


def _run(prepare: Callable[[], Job]) -> int:
    job = prepare()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak becomes what stands now
    before = _resident("VmRSS")
    job()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024  # given in kB
