"""The arguments of the kernels: the structures of `arguments.h`, in the same order."""

import ctypes

from torch import Tensor

POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64

SCAN_GROUP, SCAN_CHUNK, ROW_BLOCK, MAX_STATES, MAX_TAPS, MAX_LANES = 64, 32, 32, 256, 16, 16
SSD_CHUNK, SSD_HEADS = 64, 4
ATTENTION_BLOCK = 128
DECODE_MAMBA, DECODE_MAMBA2, DECODE_ATTENTION, DECODE_MLP = range(4)


def plain(tensor: Tensor) -> Tensor:
    """In float32 with its last axis contiguous: what a `Sequence` can describe."""
    tensor = tensor.float()
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def address(tensor: Tensor | None) -> int | None:
    """Where a contiguous tensor lies; None is a null pointer."""
    if tensor is None:
        return None
    if not tensor.is_contiguous():
        raise ValueError(f"a kernel reads contiguous tensors, not strides of {tensor.stride()}")
    return tensor.data_ptr()


def require_shapes(shape: tuple[int, ...], **tensors: Tensor | None) -> None:
    """Raise `ValueError` for a tensor of another shape, which a kernel would read beyond its end."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} must be of shape {shape}, not {tuple(tensor.shape)}")


class Sequence(ctypes.Structure):
    """A (b, l, d) tensor whose last axis is contiguous."""

    _fields_ = [("data", POINTER), ("batch_stride", SIZE), ("time_stride", SIZE)]

    @classmethod
    def of(cls, tensor: Tensor | None) -> "Sequence":
        if tensor is None:
            return cls(None, 0, 0)
        if tensor.dim() != 3 or (tensor.stride(2) != 1 and tensor.shape[2] != 1):
            raise ValueError(
                f"a kernel reads (b, l, d) with a contiguous last axis, not strides of {tensor.stride()}"
            )
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


class DecodeNorm(ctypes.Structure):
    _fields_ = [("weight", POINTER), ("bias", POINTER), ("eps", ctypes.c_float)]


class DecodeMamba(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("channels", "states", "taps", "rank")),
        *((name, POINTER) for name in ("in_proj", "in_bias", "conv", "conv_bias", "x_proj")),
        *((name, POINTER) for name in ("dt_proj", "dt_bias", "A", "D", "out_proj", "out_bias")),
        *((name, POINTER) for name in ("conv_state", "ssm_state", "x", "z", "dt", "y", "projected")),
    ]


class DecodeMamba2(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("heads", "head_width", "groups", "states", "taps")),
        *((name, ctypes.c_float) for name in ("dt_min", "dt_max")),
        ("norm", DecodeNorm),
        *((name, POINTER) for name in ("in_proj", "in_bias", "conv", "conv_bias", "dt_bias", "A", "D")),
        *((name, POINTER) for name in ("out_proj", "out_bias", "conv_state", "ssm_state")),
        *((name, POINTER) for name in ("z", "y", "x", "dt", "decay")),
    ]


class DecodeAttention(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("heads", "kv_heads", "head_width")),
        *((name, POINTER) for name in ("frequency", "slopes", "q_proj", "q_bias", "k_proj", "k_bias")),
        *((name, POINTER) for name in ("v_proj", "v_bias", "o_proj", "o_bias")),
        ("capacity", SIZE),
        *((name, POINTER) for name in ("keys", "values")),
        *((name, SIZE) for name in ("column", "past")),
        *((name, POINTER) for name in ("length", "q", "partial")),
    ]


class DecodeMlp(ctypes.Structure):
    _fields_ = [("inner", SIZE), *((name, POINTER) for name in ("fc1", "fc2", "y", "gate"))]


class DecodeLayer(ctypes.Structure):
    _fields_ = [
        ("kind", SIZE),
        ("norm", DecodeNorm),
        ("mixer", POINTER),
        ("mlp_norm", DecodeNorm),
        ("mlp", POINTER),
    ]


class DecodeArguments(ctypes.Structure):
    _fields_ = [
        *((name, SIZE) for name in ("depth", "width", "vocabulary", "own", "weight_bytes")),
        ("layers", ctypes.POINTER(DecodeLayer)),
        *((name, POINTER) for name in ("embeddings", "head")),
        ("norm", DecodeNorm),
        ("residual", POINTER),
        ("token", SIZE),
        ("logits", POINTER),
    ]
