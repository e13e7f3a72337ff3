"""The order of a model's layers as a line of letters, the notation of NVIDIA's hybrids.

A letter is that of a mixer's record in `MIXERS`; `M` is the model's state-space mixer. A number before a
letter repeats it, so `3M*` is `MMM*`.
"""

import re

from bhasa.model.mixers import MIXERS

MLP = MIXERS["mlp"].letter
MAX_LAYERS = 1000


def letters_of(pattern: str) -> str:
    """One letter a layer. Raises `ValueError` that says what is allowed."""
    titles = titles_by_letter()
    item = rf"(\d{{0,4}})([{re.escape(''.join(titles))}])"
    counted = [(int(count or 1), letter) for count, letter in re.findall(item, pattern)]
    counts = [count for count, _ in counted]
    if not re.fullmatch(rf"(?:{item})+", pattern) or 0 in counts or sum(counts) > MAX_LAYERS:
        listing = ", ".join(f"{letter} ({' or '.join(names)})" for letter, names in titles.items())
        raise ValueError(
            f"pattern: found {pattern!r}; allowed: the letters {listing}; a number before one repeats it, "
            f"as in 3M*3M-; 1 to {MAX_LAYERS} layers in all"
        )
    return "".join(letter * count for count, letter in counted)


def titles_by_letter() -> dict[str, list[str]]:
    """What each letter can stand for."""
    titles: dict[str, list[str]] = {}
    for kind in MIXERS.values():
        titles.setdefault(kind.letter, []).append(kind.title)
    return titles
