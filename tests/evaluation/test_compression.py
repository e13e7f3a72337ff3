import lzma
import random

import pytest

from bhasa.evaluation.compression import xz


def bits_per_byte(texts):
    return xz(texts).metrics["bits_per_byte"]


def test_texts_are_compressed_as_one_stream():
    texts = ["cafe ", "", "caf\u00e9 " * 50, "abc"]
    content = "".join(texts).encode()
    expected = 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)) / len(content)
    assert bits_per_byte(texts) == pytest.approx(expected)


def test_noise_needs_more_bits_than_repetition():
    noise = "".join(random.Random(0).choices("abcdefghijklmnop", k=20_000))  # 4 bits a character
    assert 4.0 < bits_per_byte([noise]) < 4.8
    assert bits_per_byte(["abcd" * 5_000]) < 0.1
