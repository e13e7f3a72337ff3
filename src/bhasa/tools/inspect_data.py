"""`bhasa inspect` of data: of files before they are ingested, and of documents after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bhasa.documents.config import IngestConfig
    from bhasa.documents.look import Look, Sample

MOST_ROWS = 12
SAMPLES = 3
SAMPLE_CHARACTERS = 240
PARAMS = Path("params.yaml")


def holds_documents(path: Path) -> bool:
    return next(path.glob("*-00000.parquet"), None) is not None


def show_documents(folder: Path) -> None:
    """What `ingest` has written; what it set aside too, where its accounts lie beside the folder."""
    from bhasa.documents.look import look_at

    _show(look_at(folder, folder.parent / "accounts.parquet"))


def show_files(path: Path) -> None:
    """What `ingest` would make of a file or of all in a folder, without writing anything."""
    from bhasa.dataset import SPLITS
    from bhasa.documents.corpus import Corpus
    from bhasa.documents.executors import open_executor
    from bhasa.documents.gathering import gather, identity
    from bhasa.documents.look import look_at
    from bhasa.documents.report import make_report
    from bhasa.documents.tables import write_documents
    from bhasa.stages import usable_cores

    config = _config(path)
    with TemporaryDirectory() as place:
        folder = Path(place)
        with Corpus(config, folder / "corpus.sqlite", identity(config)) as corpus:
            with open_executor("processes", usable_cores(), config) as executor:
                gather(config, corpus, executor, lambda: None)
            corpus.drop_near_duplicates()
            report = make_report(config, corpus)
            write_documents(folder, {split: corpus.documents(split) for split in SPLITS})
            corpus.accounts.write(folder / "accounts.parquet")
            look = look_at(folder, folder / "accounts.parquet", corpus.dropped.samples())
    _show_report(report)
    _show(look)


def _config(path: Path) -> IngestConfig:
    """That of params.yaml where there is one, for this path alone."""
    from bhasa.documents.config import IngestConfig, NearDuplicatesConfig

    kind = "folder" if path.is_dir() else "file"
    values: dict[str, Any] = {}
    if PARAMS.is_file():
        values = IngestConfig.load(PARAMS, "ingest").as_mapping()
    known = [source for source in values.get("sources", ()) if source.get("path") == str(path)]
    values |= {"sources": known[:1] or [{"kind": kind, "path": str(path)}], "mix": None}
    if values.get("near_duplicates", {}) is not None:
        values["near_duplicates"] = NearDuplicatesConfig().as_mapping() | values.get("near_duplicates", {})
        values["near_duplicates"]["most_of_a_source"] = 1.0  # to see them is what one is here for
    return IngestConfig.parse(values, str(path))


def _show_report(report: Mapping[str, Any]) -> None:
    files, sizes = report["files"], report["bytes"]
    _table(("files", "how many", "bytes"), [(name, files[name], sizes[name]) for name in files])
    reasons = sorted(report["reasons"], key=lambda row: (-row["bytes"], row["reason"]))
    rows = [(f"{row['outcome']}: {row['reason']}", row["files"], row["bytes"]) for row in reasons]
    _table(("not kept", "files", "bytes"), rows)
    _table(("cleaning", "times"), [(row["step"], row["count"]) for row in report["cleaning"]])


def _show(look: Look) -> None:
    splits = [(split, counts.total(), look.sizes[split]) for split, counts in look.lengths.items()]
    _table(("split", "documents", "bytes"), splits)
    _table(("format", "documents"), look.media_types.most_common())
    _table(("language", "documents"), look.languages.most_common())
    _table(("encoding", "documents"), look.encodings.most_common())
    lengths: Counter[int] = sum(look.lengths.values(), Counter())
    bins = [(f"{1 << max(bits - 1, 0):,} bytes and more", lengths[bits]) for bits in sorted(lengths)]
    _table(("length", "documents"), bins)
    _table(("most often repeated", "times"), look.duplicated)
    for sample in look.kept[:SAMPLES]:
        _show_sample(sample, "kept")
    for (outcome, reason), samples in sorted(look.dropped.items()):
        _show_sample(samples[0], f"{outcome}, {reason}")


def _table(head: Sequence[str], rows: Sequence[tuple[str | int, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bhasa.documents.look import visible

    if not rows:
        return
    table = Table(*head)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[:MOST_ROWS]:
        table.add_row(*[Text(visible(cell) if isinstance(cell, str) else f"{cell:,}") for cell in row])
    if len(rows) > MOST_ROWS:
        table.add_row(f"{len(rows) - MOST_ROWS:,} more")
    Console().print(table)


def _show_sample(sample: Sample, what: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from bhasa.documents.look import visible

    lines = (f"{what}: {sample.source} ({', '.join(sample.about)})", sample.text[:SAMPLE_CHARACTERS])
    Console().print(Text(visible("\n".join(filter(None, lines)))), "")
