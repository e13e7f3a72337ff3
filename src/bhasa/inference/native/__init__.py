"""One token in one call of native code: `ops/native/decode.h` is the text to read.

In torch a step is some 25 calls a layer, each of which costs more than the arithmetic of a small model. Here
the kernel reads the parameters where they lie and changes a state of its own in place. A kind of mixer is a
file here that its record in `model.mixers.MIXERS` names as `decode`, and a header `decode_*.h` there with a
structure, a DECODE_ number and a line in `decode.h`. Models with others keep their own step.
"""

from bhasa.inference.native.stepper import NativeStepper
from bhasa.inference.native.support import missing

__all__ = ["NativeStepper", "missing"]
