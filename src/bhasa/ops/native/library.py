"""Finding, loading and calling the library of kernels."""

import ctypes
from pathlib import Path

import torch


def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library, or why there is none."""
    built = sorted(Path(__file__).parent.glob("_kernels*.so"))
    if not built:
        return None, "not built: it needs a C++ compiler (GCC or Clang) when the package is installed"
    try:
        library = ctypes.CDLL(str(built[0]))  # its OpenMP is the one that torch has brought
    except OSError as error:
        return None, f"{built[0].name} does not load ({error}); install the package again"
    library.bhasa_choose.restype = ctypes.c_char_p
    library.bhasa_choose.argtypes = [ctypes.c_char_p]
    library.bhasa_choose(b"")
    return library, None


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


def call(kernel: str, arguments: ctypes.Structure) -> None:
    """Run a kernel; the arguments hold addresses, so the caller keeps the tensors alive meanwhile."""
    getattr(_LIBRARY, f"bhasa_{kernel}")(ctypes.byref(arguments))
