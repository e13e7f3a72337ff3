import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents import shingles as module
from bhasa.documents.shingles import BLOCK, WORDS, jaccard, shingle_set, shingles, without_licence

PIECES = st.sampled_from(
    [
        "word",
        "Word",
        "other",
        "x1",
        "_y",
        "na\u00efve",
        "\u4e2d\u6587",
        "\U00020000",
        " ",
        " ",
        "\n",
        ", ",
        "-",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)
WORD = re.compile("[\u3000-\u9fff\U00010000-\U0010ffff]|(?:[a-z0-9_]|[\x80-\u2fff\ua000-\uffff])+")


def slow_set(text: str) -> set[tuple[str, ...]]:
    lowered = re.sub("[A-Z]", lambda match: match.group().lower(), text)
    words = WORD.findall(lowered)
    size = min(WORDS, len(words))
    return {tuple(words[n : n + size]) for n in range(len(words) - size + 1)} if words else set()


def slow_jaccard(one: str, other: str) -> float:
    a, b = slow_set(one), slow_set(other)
    return len(a & b) / max(1, len(a | b))


@given(TEXTS, TEXTS)
def test_the_similarity_is_that_of_sets_of_words_in_a_row(one: str, other: str) -> None:
    found = shingle_set(one.encode()), shingle_set(other.encode())
    assert [len(hashes) for hashes in found] == [len(slow_set(one)), len(slow_set(other))]
    assert jaccard(*found) == slow_jaccard(one, other)


@given(TEXTS)
def test_blocks_make_no_difference(text: str) -> None:
    encoded = (text + " ").encode() * 3
    expected = np.concatenate([np.empty(0, np.uint64), *shingles(encoded)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 64)
        found = list(shingles(encoded))
    assert np.array_equal(np.concatenate([np.empty(0, np.uint64), *found]), expected)


def test_a_text_without_a_space_is_read_block_by_block() -> None:
    encoded = b"x" * (3 * BLOCK)
    assert sum(len(block) for block in shingles(encoded)) == 1
    assert len(shingle_set("\u4e2d\u6587\u5b57".encode() * BLOCK)) >= 3


def test_case_punctuation_and_white_space_count_for_nothing() -> None:
    assert jaccard(shingle_set(b"A b,c;d\te\n(F)"), shingle_set(b"a b c d e f")) == 1


def test_a_part_of_the_shingles_is_the_same_part_in_every_text() -> None:
    text = " ".join(map(str, range(20_000))).encode()
    part, whole = shingle_set(text, one_in=8), shingle_set(text)
    assert len(part) == pytest.approx(len(whole) / 8, rel=0.1)
    assert set(part.tolist()) < set(whole.tolist())
    half = shingle_set(text[: len(text) // 2], one_in=8)
    assert jaccard(part, half) == pytest.approx(jaccard(whole, shingle_set(text[: len(text) // 2])), abs=0.03)


LICENCE = "Copyright 2020 The Authors. Permission is granted."


@pytest.mark.parametrize(
    "comment",
    [
        f"/* {LICENCE}\n * more */\n",
        f"#!/bin/sh\n# {LICENCE}\n#\n# more\n\n",
        f"// {LICENCE}\n\n// more\n",
        f'"""{LICENCE}\n\nmore"""\n',
        f"<!-- {LICENCE} -->\n",
        "-- SPDX-License-Identifier: MIT\n",
    ],
)
def test_a_licence_at_the_beginning_is_no_part_of_the_text(comment: str) -> None:
    assert without_licence(f"{comment}x = 1\n".encode()).strip() == b"x = 1"


@pytest.mark.parametrize(
    "text", ["# A heading\ntext", "/* what this does */ int x;", LICENCE, "x # copyright"]
)
def test_other_beginnings_stay(text: str) -> None:
    assert without_licence(text.encode()) == text.encode()
