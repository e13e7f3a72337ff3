"""What a general compressor makes of the same texts: the yardstick beside a model's bits per byte."""

import lzma
from collections.abc import Sequence

from bhasa.evaluation.figures import Figures


def xz(texts: Sequence[str]) -> Figures:
    """Bits that xz, at its best, needs per byte of the texts one after another."""
    compressor = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME)
    size = compressed = 0
    for text in texts:
        content = text.encode()
        size += len(content)
        compressed += len(compressor.compress(content))
    return Figures({"bits_per_byte": 8 * (compressed + len(compressor.flush())) / size})
