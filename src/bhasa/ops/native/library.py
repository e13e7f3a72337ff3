"""Finding, loading and calling the library of kernels."""

import ctypes
from pathlib import Path
from sysconfig import get_config_var

import torch

from bhasa.ops.native.sources import digest


def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library, or why there is none."""
    built = Path(__file__).with_name(f"_kernels{get_config_var('EXT_SUFFIX')}")  # not another Python's
    if not built.exists():
        return None, "not built: install g++ or clang, then `pip install --no-deps --force-reinstall -e .`"
    try:
        library = ctypes.CDLL(str(built))  # its OpenMP is the one that torch has brought
    except OSError as error:
        return None, f"{built.name} does not load ({error}); install the package again"
    if _sources_of(library) != digest():
        return None, "built from other sources: run `make setup`"
    library.bhasa_choose.restype = library.bhasa_current.restype = ctypes.c_char_p
    library.bhasa_choose.argtypes = [ctypes.c_char_p]
    library.bhasa_choose(b"")
    return library, None


def _sources_of(library: ctypes.CDLL) -> str | None:
    """The digest that was compiled in; a library from before there was one has none."""
    try:
        sources = library.bhasa_sources
    except AttributeError:
        return None
    sources.restype = ctypes.c_char_p
    return str(sources().decode())


# Once, on import: what is compiled by torch cannot look for files.
_LIBRARY, _MISSING = _load()


def missing(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the native kernels cannot compute on this device from this dtype; None when they can."""
    if device.type != "cpu":
        return "it computes on the CPU"
    if dtype == torch.float64:
        return "it computes in float32"
    return _MISSING


def choose(version: str) -> str | None:
    """Use the kernels for an instruction set (avx512, avx2, portable) from here on, "" for the best.

    Returns the name of what is used; None, and changes nothing, if the processor cannot run it.
    """
    if _LIBRARY is None:
        return None
    name = _LIBRARY.bhasa_choose(version.encode())
    return None if name is None else str(name.decode())


def current() -> str | None:
    """The instruction set whose kernels are in use; None without a library."""
    return None if _LIBRARY is None else str(_LIBRARY.bhasa_current().decode())


def size_of(structure: str) -> int:
    """Bytes of a structure of `arguments.h` as the library has it."""
    if _LIBRARY is None:
        raise RuntimeError(f"the native kernels are missing: {_MISSING}")
    _LIBRARY.bhasa_size_of.restype = ctypes.c_int64
    return int(_LIBRARY.bhasa_size_of(structure.encode()))


def call(kernel: str, arguments: ctypes.Structure) -> None:
    """Run a kernel; the arguments hold addresses, so the caller keeps the tensors alive meanwhile."""
    getattr(_LIBRARY, f"bhasa_{kernel}")(ctypes.byref(arguments))
