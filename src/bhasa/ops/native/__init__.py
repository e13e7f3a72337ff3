"""The native CPU kernels: C++ without torch's headers, built with the package, called through ctypes.

The C++ beside this file is compiled by `setup.py` once for each instruction set into one library, which
chooses the best version that the processor runs. It computes in float32 and on the CPU.
"""

from bhasa.ops.native.library import call, choose, current, missing, size_of
from bhasa.ops.native.structures import (
    ConvArguments,
    DecodeArguments,
    DecodeAttention,
    DecodeLayer,
    DecodeMamba,
    DecodeMamba2,
    DecodeMlp,
    DecodeNorm,
    NormArguments,
    ScanArguments,
    Sequence,
    SoftmaxArguments,
    SsdArguments,
    address,
    plain,
    require_shapes,
)

__all__ = [
    "ConvArguments",
    "DecodeArguments",
    "DecodeAttention",
    "DecodeLayer",
    "DecodeMamba",
    "DecodeMamba2",
    "DecodeMlp",
    "DecodeNorm",
    "NormArguments",
    "ScanArguments",
    "Sequence",
    "SoftmaxArguments",
    "SsdArguments",
    "address",
    "call",
    "choose",
    "current",
    "missing",
    "plain",
    "require_shapes",
    "size_of",
]
