"""The order of a model's layers as a line of letters, the notation of NVIDIA's hybrids.

`M` is the model's state-space mixer, `*` attention, `-` an MLP; digits before a letter repeat it, so `3M*`
is `MMM*`.
"""

import re

MLP = "-"
MIXERS_BY_LETTER = {"M": "mamba", "*": "attention", MLP: "mlp"}
MAX_LAYERS = 1000

_ITEM = re.compile(rf"(\d{{0,4}})([{re.escape(''.join(MIXERS_BY_LETTER))}])")


def letters_of(pattern: str) -> str:
    """One letter a layer. Raises `ValueError` that says what is allowed."""
    if not re.fullmatch(rf"(?:{_ITEM.pattern})+", pattern):
        raise ValueError(
            f"pattern: found {pattern!r}; allowed: M (state space), * (attention) and - (MLP), "
            "each after at most four digits that repeat it, as in 3M*3M-"
        )
    counted = [(int(count or 1), letter) for count, letter in _ITEM.findall(pattern)]
    total = sum(count for count, _ in counted)
    if not all(count for count, _ in counted) or total > MAX_LAYERS:
        raise ValueError(f"pattern: {pattern!r} must count 1 to {MAX_LAYERS} layers, and each letter once")
    return "".join(letter * count for count, letter in counted)
