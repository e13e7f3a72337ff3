"""The account over random corpora: every byte of files, and of the texts found in them, has one fate."""

import io
import json
import random
import re
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.records import Outcome, Partition, skipped
from bhasa.documents.report import REMOVED, make_report
from bhasa.documents.sources.files import InputFile
from tests.documents.in_this_process import add_all

CONFIG = IngestConfig.parse(
    {
        "sources": [{"kind": "folder", "path": "one"}, {"kind": "folder", "path": "two"}],
        "min_characters": 20,
        "near_duplicates": {"most_of_a_source": 1.0},
    },
    "test",
)
WORDS = [a + b for a in ("ka", "mi", "to", "ru", "se", "na") for b in ("ba", "lo", "ne", "di", "su")]


def prose(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.choice([1, 3, 60, 120])))


def text(rng: random.Random, earlier: list[str]) -> str:
    """Something new, something again, something nearly again, or something that cleaning changes."""
    made = rng.choice(earlier) if earlier and rng.random() < 0.4 else prose(rng)
    if rng.random() < 0.2:
        made = made.replace(rng.choice(WORDS), "xyz", 1)
    if rng.random() < 0.2:
        made = f"\ufeff{made}  \r\n\x00\x07 cafe\u0301 \n\n"
    earlier.append(made)
    return made


def jsonl(rng: random.Random, earlier: list[str]) -> bytes:
    lines = []
    for _ in range(rng.randint(1, 4)):
        value: Any = {"text": text(rng, earlier)}
        if rng.random() < 0.3:
            turns = [("user", rng.choice(WORDS)), ("assistant", rng.choice(WORDS))]
            value = {"messages": [{"role": role, "content": content} for role, content in turns]}
        lines.append("{" if rng.random() < 0.2 else json.dumps(value))
    return "\n".join(lines).encode()


def archive(rng: random.Random, earlier: list[str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for n in range(rng.randint(0, 3)):
            file.writestr(f"{n}{rng.choice(['.txt', '.py', '.odd'])}", text(rng, earlier))
    return written.getvalue()


def content(suffix: str, rng: random.Random, earlier: list[str]) -> bytes:
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(0, 40))
    if suffix == ".jsonl":
        return jsonl(rng, earlier)
    if suffix == ".zip":
        return archive(rng, earlier)
    return text(rng, earlier).encode()


def corpus_of(seed: int) -> list[list[InputFile]]:
    """The files of each source."""
    rng, earlier = random.Random(seed), []  # type: tuple[random.Random, list[str]]
    sources = []
    for place in range(2):
        files = []
        for n in range(rng.randint(0, 5)):
            suffix = rng.choice([".txt", ".txt", ".py", ".md", ".jsonl", ".zip", ".odd"])
            made = content(suffix, rng, earlier)
            refusal = skipped("hidden") if rng.random() < 0.1 else None
            files.append(InputFile(f"{place}/{n}{suffix}", len(made), partial(bytes, made), refusal))
        sources.append(files)
    return sources


def check(sources: list[list[InputFile]], folder: Path) -> set[str]:
    """Raises where an account does not balance; the outcomes that there were."""
    with Corpus(CONFIG, folder / "corpus") as corpus:
        for place, files in enumerate(sources):
            partitions: list[Partition] = list(files)
            add_all(corpus, *partitions, place=place)
        corpus.drop_near_duplicates()
        report = make_report(CONFIG, corpus)
        documents = [document for split in report["documents"] for document in corpus.documents(split)]
        talks = [talk for split in report["documents"] for talk in corpus.conversations(split)]
        given = corpus.accounts.text_bytes()
        corpus.accounts.write(folder / "accounts.parquet")
    rows = pq.read_table(folder / "accounts.parquet").to_pylist()
    every = [file for files in sources for file in files]
    assert [row["source"] for row in rows] == [file.name for file in every]
    assert [row["bytes"] for row in rows] == [file.size for file in every]
    for part in (report, *report["domains"], *report["media_types"]):
        for ledger in (part["files"], part["bytes"]):
            assert ledger["in"] == sum(ledger[outcome.value] for outcome in Outcome)
    for part in (report, *report["domains"]):
        text = part["text"]
        assert text["found"] == sum(text[outcome.value] for outcome in Outcome) + text[REMOVED]
    for name in ("files", "bytes", "text"):
        for key, total in report[name].items():
            assert total == sum(domain[name][key] for domain in report["domains"])
    assert report["files"]["in"] == len(every)
    assert report["bytes"]["in"] == sum(file.size for file in every)
    assert report["text"]["found"] == given == sum(row["text_bytes"] for row in rows)
    sizes = sum(document.bytes for document in documents)
    spoken = sum(len(content) for talk in talks for _, content in talk.messages)
    assert sizes == sum(row["kept_bytes"] for row in rows) == report["text"]["kept"] - spoken
    check_reasons(report, rows)
    return {row["outcome"] for row in rows}


def check_reasons(report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for outcome in set(Outcome) - {Outcome.KEPT}:
        of_files = [row for row in report["reasons"] if row["outcome"] == outcome]
        assert sum(row["files"] for row in of_files) == report["files"][outcome.value]
        assert sum(row["bytes"] for row in of_files) == report["bytes"][outcome.value]
        of_texts = [row for row in report["text_reasons"] if row["outcome"] == outcome]
        assert sum(row["bytes"] for row in of_texts) == report["text"][outcome.value]
    assert all(bool(row["reason"]) == (row["outcome"] != Outcome.KEPT) for row in rows)
    near = [row for row in rows if row["outcome"] == Outcome.NEAR_DUPLICATE]
    assert all(re.fullmatch(r"like .+ \((0\.[6-9]\d|1\.00)\)", row["details"][-1]) for row in near)
    assert not any(row["kept_bytes"] for row in near)


@pytest.mark.parametrize(
    "seeds", [range(100), pytest.param(range(100, 2100), marks=pytest.mark.slow)], ids=["100", "2,000"]
)
def test_every_byte_is_accounted_for(seeds: range) -> None:
    outcomes: set[str] = set()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            outcomes |= check(corpus_of(seed), Path(folder))
    assert outcomes >= {"kept", "duplicate", "near duplicate", "skipped", "quarantined"}
