"""How to run: device, precision, micro-batch, threads, and what the machine is. Never what to learn."""

import ctypes
import functools
import platform
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

import bhasa
from bhasa.errors import UserError
from bhasa.params import Config

if TYPE_CHECKING:
    import torch

    from bhasa.model.language_model import LanguageModel

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class HardwareProfile(Config):
    """One file of `pipeline/hardware/`."""

    device: Literal["cpu", "cuda", "mps"]
    """Where tensors live."""
    precision: Literal["fp32", "bf16", "fp16"]
    """Of matrix products; fp16 becomes bf16 where the GPU has it. State, norms and optimiser stay fp32."""
    micro_batch: Annotated[int, Field(ge=1)]
    """Sequences computed at once; accumulation follows from the batch in tokens."""
    activation_checkpointing: bool = False
    """Recompute activations in backward: about a third slower, several times less memory."""
    backend: Literal["auto", "native", "triton", "chunked", "reference"] = "auto"
    """Implementation of the operations, see `ops.backends`; auto is the fastest that this machine can run."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; null is one per core. Matrix products round differently with another number."""
    data_executor: Literal["processes", "ray"] = "processes"
    """What reads the corpus: processes here, or a Ray cluster. What is written is the same with each."""
    data_workers: Annotated[int, Field(ge=1)] | None = None
    """How many files are read at a time, in the whole cluster; null is one per core of this machine."""

    @property
    def torch_device(self) -> "torch.device":
        import torch

        return torch.device(self.device)

    def prepare(self) -> "torch.device":
        """Set threads and allocator, once, before a stage computes anything; returns the device."""
        import torch

        self.require_device()
        self.kernels()
        _keep_freed_memory()
        if self.threads:
            torch.set_num_threads(self.threads)
        return self.torch_device

    def require_device(self) -> None:
        """Raise `UserError` for a device that is not there; it is never replaced by another."""
        if self.device not in (available := available_devices()):
            raise UserError(
                f"device: found '{self.device}', this machine has: {', '.join(available)}; "
                "choose another hardware profile"
            )

    def kernels(self, model: "LanguageModel | None" = None) -> dict[str, str]:
        """Which implementation each operation uses, of this model or of any that can use the backend.

        Raises `UserError` where the backend cannot run.
        """
        from bhasa.ops.operations import implementations

        return implementations(self.torch_device, self.backend, model.operations() if model else None)

    def torch_dtype(self) -> "torch.dtype":
        """The dtype of matrix products on this machine."""
        import torch

        bf16_instead = self.device == "cuda" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        if self.precision == "fp16":
            return torch.bfloat16 if bf16_instead else torch.float16
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def autocast(self) -> "torch.autocast":
        """A context in which matrix products are of this profile's precision."""
        import torch

        dtype = self.torch_dtype()
        return torch.autocast(self.device, dtype=dtype, enabled=dtype != torch.float32)


@functools.cache
def _keep_freed_memory() -> None:
    """Have glibc reuse what is freed: fresh pages cost nearly as much as the arithmetic on them."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def available_devices() -> list[str]:
    """Those of this machine, by the names of `HardwareProfile.device`."""
    import torch

    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, available in found.items() if available]


def machine() -> dict[str, Any]:
    """What besides data and parameters decides the bits: versions, instruction set, threads, the GPU."""
    import torch

    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "bhasa": bhasa.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "blas": "mkl" if torch.backends.mkl.is_available() else "other",
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        **gpu,
    }
