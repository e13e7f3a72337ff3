"""What a tokenizer is learned from: chosen by id whatever the order, within bounds of bytes and of words."""

import hashlib
import random
import string
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.tokens import sample
from bhasa.tokens.sample import Sample, draw


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: Path, texts: list[str], files: int = 1) -> int:
    folder.mkdir(exist_ok=True)
    for number in range(files):
        part = texts[number::files]
        columns = {
            "id": pa.array([identity(text) for text in part], pa.string()),
            "text": pa.array(part, pa.string()),
            "bytes": pa.array([len(text.encode()) for text in part], pa.int64()),
        }
        pq.write_table(pa.table(columns), folder / f"train-{number:05d}.parquet")
    return sum(len(text.encode()) for text in texts)


def by_rule(texts: list[str], max_bytes: int, distinct: int) -> set[str]:
    """Documents by id while both bounds hold, and the first one in any case."""
    taken: list[str] = []
    for text in sorted(texts, key=identity):
        if sum(len(one.encode()) for one in taken) >= max_bytes:
            break
        taken.append(text)
    kept: list[str] = []
    for text in taken:
        words = {word for one in [*kept, text] for word in one.encode().split()}
        if kept and sum(map(len, words)) > distinct:
            break
        kept.append(text)
    return set(kept)


words = st.text("abc", min_size=1, max_size=4)
corpora = st.lists(
    st.lists(words, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=12, unique=True
)


@given(corpora, st.integers(1, 60), st.integers(1, 40), st.integers(1, 3), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_sample_is_that_of_the_rule_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    max_bytes: int,
    distinct: int,
    files: int,
    order: random.Random,
) -> None:
    order.shuffle(texts)
    folder = tmp_path_factory.mktemp("sample")
    size = write(folder, texts, min(files, len(texts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "DISTINCT_BYTES", distinct)
        found = set(draw(folder, size, max_bytes).texts())
    assert found == by_rule(texts, max_bytes, distinct)


def test_of_a_small_corpus_everything_is_taken_and_nothing_counted(tmp_path: Path) -> None:
    size = write(tmp_path, ["one", "two"])
    assert draw(tmp_path, size, 10**9) == Sample(tmp_path, None)


def test_no_document_uses_up_the_whole_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "DOCUMENT_CHARACTERS", 10)
    write(tmp_path, ["x" * 1000, "y"])
    assert set(Sample(tmp_path, None).texts()) == {"x" * 10, "y"}


LEARN = """
import resource, sys
from pathlib import Path
from bhasa.tokens import kinds, sample
from bhasa.tokens.config import BpeConfig
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder, size = Path(sys.argv[1]), int(sys.argv[2])
sample.DISTINCT_BYTES = 1 << 20
kinds.make(BpeConfig(vocab_size=1000), sample.draw(folder, size, 10**9).texts())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_text_that_never_repeats_takes_bounded_memory(tmp_path: Path) -> None:
    """Six times the bound of distinct words; it took 93 MiB a MB."""
    source = random.Random(0)
    texts = ["".join(source.choices(string.ascii_lowercase, k=250_000)) for _ in range(24)]
    size = write(tmp_path, texts)
    command = [sys.executable, "-c", LEARN, str(tmp_path), str(size)]
    kilobytes = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert kilobytes < 250_000
