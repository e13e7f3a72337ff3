"""The convolution as K shifted multiply-adds over the whole sequence: no loop over time, no copy of x."""

from torch import Tensor

from bhasa.ops import segments
from bhasa.ops.causal_conv.interface import with_sums


def sums(window: Tensor, weight: Tensor, segment_ids: Tensor | None) -> Tensor:
    """The same arguments and result as the sums of `reference.py`."""
    taps = weight.shape[1]
    length = window.shape[1] - taps + 1
    y = window[:, taps - 1 :] * weight[:, taps - 1]
    for back in range(1, taps):
        first = taps - 1 - back
        earlier = window[:, first : first + length]  # (b, l, d), the inputs `back` steps ago
        if segment_ids is not None:
            earlier = earlier * segments.same_as(segment_ids, back)[..., None]
        y = y.addcmul(earlier, weight[:, first])
    return y


shifted_conv = with_sums(sums)
