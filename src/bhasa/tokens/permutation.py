"""A random order without a list of it: where each index goes is computed, in constant time and memory.

A Feistel network is a bijection of the numbers of an even count of bits. For the first `size` numbers,
a result that lies outside is put in again until it falls inside (cycle-walking), which keeps it a
bijection and takes fewer than four rounds on average.
"""

import numpy as np
from numpy.typing import NDArray

from bhasa.randomness import derive

Indices = NDArray[np.int64]

ROUNDS = 6


def permute(indices: Indices, size: int, *, seed: int) -> Indices:
    """Where each of `indices` (n,), all in [0, size), lies in the order of `seed`: again in [0, size)."""
    half = max(1, -(-(size - 1).bit_length() // 2))  # bits
    keys = np.array([derive(seed, "round", number) for number in range(ROUNDS)], np.uint64)
    permuted = _feistel(indices.astype(np.uint64), half, keys)
    while (outside := permuted >= size).any():
        permuted[outside] = _feistel(permuted[outside], half, keys)
    return permuted.astype(np.int64)


def _feistel(values: NDArray[np.uint64], half: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    shift, low_bits = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> shift, values & low_bits
    for key in keys:
        left, right = right, left ^ (_scramble(right ^ key) & low_bits)
    return left << shift | right


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: every bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
