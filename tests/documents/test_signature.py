import subprocess
import sys

import numpy as np
import pytest

from benchmarks.corpora import prose
from bhasa.documents.minhash import BYTES, lower, no_minima, packed
from bhasa.documents.shingles import BLOCK, in_a_row, shingles, word_hashes
from bhasa.documents.signature import ONE_IN, RUN, runs_of_words, signature


@pytest.mark.parametrize("words", [1, 4, 5, 7, 8, 500, BLOCK // 2])
def test_it_has_the_minima_and_a_part_of_the_runs(words: int) -> None:
    text = prose("signed", words).encode()
    least = no_minima()
    for block in shingles(text):
        lower(least, block)
    found = signature(text)
    assert found[:BYTES] == packed(least)
    every = set(np.concatenate(list(in_a_row(word_hashes(text), RUN))).tolist())
    assert runs_of_words(found).tolist() == sorted(run for run in every if run % ONE_IN == 0)


def test_a_licence_is_no_part_of_it() -> None:
    text = prose("body", 100)
    assert signature(f"# Copyright 2020 The Authors\n\n{text}".encode()) == signature(text.encode())


def test_a_text_without_words_has_none_and_one_word_has() -> None:
    assert signature(b"-- ** --\n") == b""
    assert len(runs_of_words(b"")) == 0
    assert len(signature(b"word")) >= BYTES


WITHOUT_FILES = """
import resource, sys
from bhasa.documents.signature import signature
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
for text in ("word", "some words " * 10_000, "\u4e2d\u6587\U00020000 mixed"):
    sys.stdout.write(f"{len(signature(text.encode()))}\\n")
"""


def test_it_opens_no_file() -> None:
    """Where texts are read nothing can be opened, and so nothing be imported any more."""
    made = subprocess.run([sys.executable, "-c", WITHOUT_FILES], capture_output=True, text=True, check=False)
    assert len(made.stdout.split()) == 3, made.stderr
