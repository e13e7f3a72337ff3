"""What a process may do while it reads foreign bytes: compute, in bounded memory and time, and nothing else.

It opens no file, no socket and no pipe, because every number that a new descriptor could have is above its
limit; it writes no file and starts no process or thread. The kernel holds native code to this too. A limit
that a system lacks is left out: macOS does not bound address space.
"""

from __future__ import annotations

import os
import pkgutil
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

MEMORY_BYTES, MEMORY_PER_BYTE = 1 << 30, 16
PROCESSOR_SECONDS, SECONDS_PER_MIB = 60, 2

ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Of the process: numpy fails where it cannot start its threads, and pyarrow would reserve a GiB at once."""


def memory_for(size: int) -> int:
    """Bytes of address space for reading a file of `size` bytes, beyond what the process has before."""
    return MEMORY_BYTES + MEMORY_PER_BYTE * size


def seconds_for(size: int) -> int:
    """Processor time for one record of such a file: a last resort, since readers count their work."""
    return PROCESSOR_SECONDS + SECONDS_PER_MIB * (size >> 20)


class Sandbox:
    """This process, from now on and for good."""

    def __init__(self) -> None:
        _import_codecs()
        self._memory = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else None
        for name in ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NPROC"):
            if hasattr(resource, name):
                resource.setrlimit(getattr(resource, name), (0, 0))
        _allow_no_descriptor()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Inside the block files can be opened, which importing a reader needs."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            yield
        finally:
            _allow_no_descriptor()

    def allow_memory(self, size: int) -> None:
        """Memory for a file of `size` bytes; what takes more fails with `MemoryError`."""
        if self._memory is not None:
            pages = int(os.pread(self._memory, 64, 0).split()[0])
            _set_soft(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_for(size))

    def allow_time(self, size: int) -> None:
        """Time for a record of a file of `size` bytes; what takes more ends the process by SIGXCPU."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _set_soft(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + seconds_for(size))


def _allow_no_descriptor() -> None:
    """The soft limit becomes the lowest number that is free."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    _set_soft(resource.RLIMIT_NOFILE, free)


def _set_soft(limit: int, value: int) -> None:
    resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


def _import_codecs() -> None:
    """Python imports a codec when it is first used, which is too late in here."""
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        with suppress(ImportError):  # those of Windows
            import_module(f"encodings.{module.name}")
