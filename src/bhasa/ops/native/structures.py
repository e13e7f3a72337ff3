"""The arguments of the kernels: the structures of `arguments.h`, in the same order."""

import ctypes

from torch import Tensor

POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64

SCAN_GROUP, SCAN_CHUNK, ROW_BLOCK, MAX_STATES, MAX_TAPS, MAX_LANES = 64, 32, 32, 256, 16, 16
SSD_CHUNK, SSD_HEADS = 64, 4


def plain(tensor: Tensor) -> Tensor:
    """In float32 with its last axis contiguous: what a `Sequence` can describe."""
    tensor = tensor.float()
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def address(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor lies; None is a null pointer."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    return tensor.data_ptr()


class Sequence(ctypes.Structure):
    """A (b, l, d) tensor whose last axis is contiguous."""

    _fields_ = [("data", POINTER), ("batch_stride", SIZE), ("time_stride", SIZE)]

    @classmethod
    def of(cls, tensor: Tensor | None) -> "Sequence":
        if tensor is None:
            return cls(None, 0, 0)
        assert tensor.stride(2) == 1 or tensor.shape[2] == 1
        return cls(tensor.data_ptr(), tensor.stride(0), tensor.stride(1))


class ScanArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("batch", "length", "channels", "states")),
        *((name, Sequence) for name in ("x", "dt", "z", "B", "C")),
        *((name, POINTER) for name in ("A", "D", "dt_bias", "keep", "initial_state", "saved")),
        ("y", Sequence),
        ("final_state", POINTER),
        *((name, Sequence) for name in ("dx", "ddt", "dz")),
        *((name, POINTER) for name in ("dB", "dC", "dA", "dD", "ddt_bias", "dinitial_state")),
    ]


class SsdArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("batch", "length", "heads", "width", "groups", "states")),
        *((name, Sequence) for name in ("x", "dt", "B", "C")),
        *((name, POINTER) for name in ("A", "D", "keep", "initial_state", "saved")),
        ("y", Sequence),
        ("final_state", POINTER),
        *((name, Sequence) for name in ("dx", "ddt")),
        *((name, POINTER) for name in ("dB", "dC", "dA", "dD", "dinitial_state")),
    ]


class ConvArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("batch", "length", "channels", "taps")),
        ("x", Sequence),
        *((name, POINTER) for name in ("weight", "bias", "before", "segment_ids")),
        *((name, Sequence) for name in ("y", "dx")),
        *((name, POINTER) for name in ("dweight", "dbias", "dbefore")),
    ]


class NormArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("rows", "groups", "width", "z_stride")),
        ("eps", ctypes.c_float),
        *((name, POINTER) for name in ("x", "weight", "z", "y", "scale", "dx", "dz", "dweight")),
    ]


class SoftmaxArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("rows", "columns", "first_column")),
        *((name, POINTER) for name in ("logits", "targets", "largest", "total", "target_logit")),
    ]


class DecodeLayer(ctypes.Structure):
    _fields_ = [
        *((name, POINTER) for name in ("norm", "in_proj", "in_bias", "conv", "conv_bias", "x_proj")),
        *((name, POINTER) for name in ("dt_proj", "dt_bias", "A", "D", "out_proj", "out_bias")),
        *((name, POINTER) for name in ("conv_state", "ssm_state")),
    ]


class DecodeArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("depth", "width", "channels", "states", "taps", "rank", "vocabulary")),
        ("eps", ctypes.c_float),
        ("layers", ctypes.POINTER(DecodeLayer)),
        *((name, POINTER) for name in ("embeddings", "norm", "head")),
        *((name, POINTER) for name in ("residual", "x", "z", "dt", "y", "projected")),
        ("token", SIZE),
        ("logits", POINTER),
    ]
