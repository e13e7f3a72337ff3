"""Corpora made for the purpose: texts of random words, near copies of them, and texts that share a form only.

Everything follows from the seeds.
"""

import random
from collections.abc import Callable

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
VOCABULARY = ["".join(random.Random(n).choices(SYLLABLES, k=2 + n % 3)) for n in range(3000)]
COMMONEST = 15
"""One word in 16 is the first of the vocabulary, one in 17 of the others the second, and so on."""


def prose(seed: object, words: int) -> str:
    """Sentences of ten words, a paragraph of five sentences."""
    chance = random.Random(str(seed))
    drawn = [_word(chance) for _ in range(words)]
    sentences = [" ".join(drawn[n : n + 10]).capitalize() + "." for n in range(0, words, 10)]
    return "\n\n".join(" ".join(sentences[n : n + 5]) for n in range(0, len(sentences), 5))


def _word(chance: random.Random) -> str:
    return VOCABULARY[min(int(COMMONEST * chance.paretovariate(1)) - COMMONEST, len(VOCABULARY) - 1)]


def exchange(text: str, share: float, seed: object) -> str:
    """So many of the words, here and there, are others."""
    chance = random.Random(str(seed))
    words = text.split(" ")
    for place in chance.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = chance.choice(VOCABULARY)
    return " ".join(words)


def delete(text: str, share: float, seed: object) -> str:
    """So many of the words, all in one place, are missing."""
    words, begin, end = _range(text, share, seed)
    return " ".join(words[:begin] + words[end:])


def insert(text: str, share: float, seed: object) -> str:
    """So many words more in one place."""
    words, begin, end = _range(text, share, seed)
    return " ".join(
        words[:begin] + random.Random(str(seed)).choices(VOCABULARY, k=end - begin) + words[begin:]
    )


def move(text: str, share: float, seed: object) -> str:
    """So many of the words, in a row, stand at the end."""
    words, begin, end = _range(text, share, seed)
    return " ".join(words[:begin] + words[end:] + words[begin:end])


def retype(text: str, share: float, seed: object) -> str:
    """Other lines, other capitals, and so many of the words with a letter more."""
    chance = random.Random(str(seed))
    words = text.upper().split()
    for place in chance.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] += "S"
    return "\n".join(" ".join(words[n : n + 8]) for n in range(0, len(words), 8))


def _range(text: str, share: float, seed: object) -> tuple[list[str], int, int]:
    words = text.split(" ")
    length = max(1, round(share * len(words)))
    begin = random.Random(f"range {seed}").randrange(len(words) - length)
    return words, begin, begin + length


EDITS: dict[str, Callable[[str, float, object], str]] = {
    "words exchanged": exchange,
    "words deleted": delete,
    "words inserted": insert,
    "words moved": move,
    "typed anew": retype,
}
SHARES = (0.01, 0.02, 0.03, 0.04, 0.05)


def near_copies(originals: list[str], edit: str) -> list[str]:
    """A near copy of each, with 1 to 5 % of its words edited."""
    return [EDITS[edit](text, SHARES[n % len(SHARES)], n) for n, text in enumerate(originals)]


def licensed_sources(count: int) -> list[str]:
    """Source files, some short, each of which begins with the same licence of 150 words."""
    lines = prose("licence", 150).replace(". ", ".\n").splitlines()
    licence = "".join(f"# {line}\n" for line in ["Copyright 2020 The Authors", "Licensed as follows", *lines])
    return [licence + _functions(n) for n in range(count)]


def _functions(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(
        f"\n\ndef {chance.choice(VOCABULARY)}({_word(chance)}):\n"
        f"    {_word(chance)} = {chance.choice(VOCABULARY)}.{_word(chance)}({chance.randrange(1000)})\n"
        f"    return {_word(chance)} + {chance.choice(VOCABULARY)}\n"
        for _ in range(chance.randint(2, 40))
    )


def form_letters(count: int) -> list[str]:
    """Letters of 120 words in common, with fields between them, and 60 of their own."""
    form = prose("form", 120).split(" ")
    letters = []
    for n in range(count):
        chance = random.Random(n)
        words = [
            word if place % 30 else f"{word} {chance.choice(VOCABULARY)}" for place, word in enumerate(form)
        ]
        letters.append(f"{' '.join(words[:40])}\n\n{prose(('letter', n), 60)}\n\n{' '.join(words[40:])}")
    return letters
