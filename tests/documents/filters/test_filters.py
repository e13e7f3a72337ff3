"""Each threshold from both of its sides."""

import random
from itertools import product

import pytest

from bhasa.documents.filters import FILTERS

SYLLABLES = ("ba", "den", "kor", "li", "mun", "pa", "rest", "so", "tiv", "wel")
WORDS = ["".join(pair) for pair in product(SYLLABLES, repeat=2)]


def sentences(count: int) -> list[str]:
    """Of eight words each, drawn at random, so that no run of words comes often."""
    draw = random.Random(0)
    return [f"The {' '.join(draw.choices(WORDS, k=5))} and of {draw.choice(WORDS)}." for _ in range(count)]


PROSE = " ".join(sentences(30)) + "\n" + " ".join(sentences(60)[30:])


def judge(rules: str, text: str, language: str = "en") -> str:
    return FILTERS[rules](text, language)


@pytest.mark.parametrize("rules", FILTERS)
def test_prose_passes(rules: str) -> None:
    assert judge(rules, PROSE) == ""


def words(count: int, word: str = "words") -> str:
    return " ".join([word] * (count - 2) + ["the", "of"])


@pytest.mark.parametrize(
    ("kept", "left_out", "reason"),
    [
        (words(50), words(49), "too few words"),
        (words(100_000), words(100_001), "too many words"),
        ("aaa " * 97 + "aaaa the of", "aaa " * 49 + "aa " * 49 + "the of", "words too short or too long"),
        (
            "a" * 10 + " " + "aaaaaaaaaa " * 97 + "the of",
            "aaaaaaaaaaa " * 98 + "the of",
            "words too short or too long",
        ),
        (words(90) + " #" * 10, words(89) + " #" * 11, "too many hashes or ellipses"),
        (
            words(60) + " a\u2026" * 7 + " the",
            words(60) + " a\u2026" * 10 + " the",
            "too many hashes or ellipses",
        ),
        (words(80) + " 12345" * 20, words(79) + " 12345" * 21, "too few words with letters"),
        (words(98), "words " * 99 + "the", "too few stop words"),
        (
            "- words of the other line\n" * 90 + "words of the\n" * 10,
            "- words of the other line\n" * 91 + "words of the\n" * 9,
            "too many bullets",
        ),
        (
            "the words of these lines and more of them\n" * 70
            + "the words of these lines go on and on ...\n" * 30,
            "the words of these lines and more of them\n" * 69
            + "the words of these lines go on and on ...\n" * 31,
            "too many lines end in an ellipsis",
        ),
    ],
)
def test_gopher_quality(kept: str, left_out: str, reason: str) -> None:
    assert judge("gopher-quality", kept) == ""
    assert judge("gopher-quality", left_out) == f"gopher: {reason}"


def test_stop_words_are_asked_for_in_english_alone() -> None:
    german = "Der Zug kommt heute wieder sehr sp\u00e4t, und alle warten schon lange auf ihn. " * 5
    assert judge("gopher-quality", german, "de") == ""
    assert judge("gopher-quality", german, "und") == ""
    assert judge("gopher-quality", german, "en") == "gopher: too few stop words"


def test_repeated_lines_and_paragraphs() -> None:
    lines = sentences(100)
    assert judge("gopher-repetition", "\n".join(["x"] * 28 + lines[:72])) == ""
    assert judge("gopher-repetition", "\n".join(["x"] * 33 + lines[:67])) == "gopher: repeated lines"
    assert judge("gopher-repetition", "\n\n".join(["x"] * 33 + lines[:67])) == "gopher: repeated paragraphs"
    assert judge("gopher-repetition", "\n".join(lines + lines[:10])) == ""
    assert judge("gopher-repetition", "\n".join(lines + lines[:30])) == "gopher: repeated lines"


@pytest.mark.parametrize(("length", "share"), [(2, 0.20), (3, 0.18), (4, 0.16)])
def test_one_run_of_words_too_often(length: int, share: float) -> None:
    def text(share: float) -> str:
        run = " ".join(["abcdefghi"] * length)
        rest = [f"{n:09d}" for n in range(10_000)]
        often = int(share * 200_000 / (10 * length))
        return (
            " ".join(f"{run} {rest[n]}" for n in range(often))
            + " "
            + " ".join(rest[often : 20_000 - often * (length + 1)])
        )

    found = judge("gopher-repetition", text(share + 0.05))
    assert found.startswith("gopher: one run of ")
    assert not judge("gopher-repetition", text(share / 2)).startswith(f"gopher: one run of {length} ")


@pytest.mark.parametrize(
    ("length", "share"), [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)]
)
def test_repeated_runs_of_words(length: int, share: float) -> None:
    def text(share: float) -> str:
        """A share of the characters is in runs of `length` words that came before, each twice."""
        distinct = [f"{n:09d}" for n in range(2_000)]
        runs = int(share * 2_000 / length)
        first = distinct[: runs * length]
        again = [word for n in range(runs) for word in (*first[n * length : (n + 1) * length], f"x{n:08d}")]
        return " ".join(distinct + again)

    low, high = share * 0.9, share * 1.6
    assert judge("gopher-repetition", text(low)) == ""
    assert judge("gopher-repetition", text(high)).startswith("gopher: repeated runs of ")


C4 = "\n".join(sentences(5))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (C4, ""),
        (" ".join(sentences(5)), ""),
        ("\n".join(sentences(4)), "too few sentences"),
        ("\n".join([*sentences(4), "Two words."]), "too few sentences"),
        ("\n".join([*sentences(4), "Three words here."]), ""),
        ("\n".join([*sentences(4), "A line without an end"]), "too few sentences"),
        ("\n".join([*sentences(4), "A line that goes on..."]), "too few sentences"),
        ("\n".join([*sentences(4), "You need Javascript for this."]), "too few sentences"),
        ("\n".join([*sentences(4), "This page uses cookies to work."]), "too few sentences"),
        ("\n".join([*sentences(4), f"A word of {'x' * 1_001} characters."]), "too few sentences"),
        ("\n".join([*sentences(4), f"A word of {'x' * 1_000} characters."]), ""),
        (C4 + "\nHere is lorem ipsum dolor sit amet.", "lorem ipsum"),
        (C4 + "\nHere is a { curly bracket.", "curly bracket"),
    ],
)
def test_c4(text: str, reason: str) -> None:
    assert judge("c4", text) == (reason and f"c4: {reason}")


def test_fineweb() -> None:
    ended, open_ = sentences(100), [line.rstrip(".") for line in sentences(100)]
    assert judge("fineweb", "\n".join(ended[:12] + open_[12:])) == ""
    assert judge("fineweb", "\n".join(ended[:11] + open_[11:])) == "fineweb: too few lines end a sentence"
    short = [f"A short line, number {n}." for n in range(100)]
    assert judge("fineweb", "\n".join(short[:67] + [line * 2 for line in ended[:33]])) == ""
    assert judge("fineweb", "\n".join(short[:68] + ended[:32])) == "fineweb: too many short lines"
    assert judge("fineweb", "\n".join([*ended, ended[0][:40] + ".", ended[0][:40] + "."])) == ""
    assert judge("fineweb", "\n".join([*ended, *ended[:2]])) == "fineweb: repeated lines"
    assert judge("fineweb", "\n\n".join(ended)) == ""
    assert judge("fineweb", "\n\n\n\n\n".join(ended)) == "fineweb: too many line ends"
