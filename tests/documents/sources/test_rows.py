"""A source whose partitions are rows of a data set, not files, joins without a change anywhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bhasa.dataset import SPLITS
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.records import Conversation, Record, Refused, Text, quarantined
from bhasa.documents.sources import SOURCES
from bhasa.documents.sources.rows import Row
from bhasa.stages import ingest
from bhasa.tracking import NullTracker
from tests.documents.in_this_process import add_all


def row(number: int, values: dict[str, str]) -> Row:
    if "question" in values:
        record: Record | Refused = Conversation(
            (("user", values["question"]), ("assistant", values["answer"]))
        )
    elif "text" in values:
        record = Text(values["text"], group=values.get("book", ""))
    else:
        record = quarantined("a row without a text")
    return Row(f"rows/m{number}", [record], 0, language=values.get("language", "und"))


@dataclass
class Rows:
    rows: list[dict[str, str]]
    read: list[int] = field(default_factory=list)
    size = 0

    def partitions(self) -> Iterator[Row]:
        for number, values in enumerate(self.rows):
            self.read.append(number)
            yield row(number, values)


def test_rows_become_documents_and_conversations_like_files(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [{"text": f"a row of some length, number {n}, in its own words\n" * 3} for n in range(60)]
    talks = [{"question": f"what is {n}?", "answer": "a number"} for n in range(60)]
    source = Rows([*texts, texts[0], {}, *talks])
    monkeypatch.setitem(SOURCES, "python-library", lambda config, max_file_bytes: source)
    metrics = ingest.run(
        IngestConfig.parse({"sources": [{"kind": "python-library", "max_bytes": 10_000}]}, "test"),
        executor="processes",
        workers=2,
        raw=[],
        documents=Path("documents"),
        chat=Path("chat"),
        accounts=Path("accounts.parquet"),
        report=Path("report.json"),
        page=Path("data.html"),
        tracker=NullTracker(),
    )
    assert (metrics["files_in"], metrics["files_kept"]) == (122, 120)
    assert source.read == list(range(122))
    rows = pq.read_table("accounts.parquet").to_pylist()
    assert [(row["source"], row["outcome"], row["details"]) for row in rows[60:62]] == [
        ("rows/m60", "duplicate", ["same as rows/m0"]),
        ("rows/m61", "quarantined", []),
    ]


@pytest.mark.parametrize("named", [True, False])
def test_records_of_one_group_are_in_one_split(named: bool, tmp_path: Path) -> None:
    config = IngestConfig.parse(
        {
            "sources": [{"kind": "folder", "path": "raw"}],
            "min_characters": 4,
            "validation_fraction": 0.25,
            "test_fraction": 0.25,
        },
        "test",
    )
    code = 'def f{n}(x):\n    """Return the number {n} in a roundabout way."""\n'
    rows = [
        {"text": code.format(n=n), "language": "python"} | ({"book": f"book {n // 8}"} if named else {})
        for n in range(64)
    ]
    with Corpus(config, tmp_path / "spool") as corpus:
        add_all(corpus, *Rows(rows).partitions())
        corpus.make_pairs()
        splits = {document.source: split for split in SPLITS for document in corpus.documents(split)}
        pairs = {
            "rows/" + c.messages[0][1].split("`")[1].split(".")[0]: split
            for split in SPLITS
            for c in corpus.conversations(split)
        }
    sides = [{splits[f"rows/m{n}"] for n in range(8 * book, 8 * book + 8)} for book in range(8)]
    assert all(len(side) == 1 for side in sides) == named
    assert len(set().union(*sides)) > 1
    assert pairs == splits
