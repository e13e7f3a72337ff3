"""Stage 1: from the sources of params.yaml to split documents, chat data and an account of every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from bhasa.documents.config import IngestConfig
    from bhasa.documents.corpus import Account, Corpus
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `ingest`.")],
    raw: Annotated[list[Path], typer.Option(help="Folder that folder sources may read; repeat for more.")],
    documents: Annotated[Path, typer.Option(help="Folder to write: Parquet files per split.")],
    chat: Annotated[Path, typer.Option(help="Folder to write: JSON lines of conversations per split.")],
    report: Annotated[Path, typer.Option(help="File to write: what became of every input file.")],
) -> None:
    """Read, clean, de-duplicate and split the user's files and the Python library."""
    from bhasa.documents.config import IngestConfig
    from bhasa.stages import tracked

    config = IngestConfig.load(params, "ingest")
    with tracked("ingest", params) as tracker:
        run(config, raw=raw, documents=documents, chat=chat, report=report, tracker=tracker)


def run(
    config: IngestConfig, *, raw: Sequence[Path], documents: Path, chat: Path, report: Path, tracker: Tracker
) -> dict[str, float | int | str]:
    """Write the folders `documents` and `chat` and the file `report`; the report's counts.

    Raises `UserError`, and writes nothing, when there is too little to train, test and tune on.
    """
    from bhasa.documents.corpus import Corpus
    from bhasa.documents.report import make_report
    from bhasa.documents.tables import write_conversations, write_documents
    from bhasa.journal import publish, require_space, write_json

    _check_folders(config, raw)
    corpus = Corpus(config)
    accounts = _read_all(config, corpus)
    splits, chat_splits = corpus.document_splits(), corpus.chat_splits()
    values = make_report(list(zip(config.sources, accounts, strict=True)), splits, chat_splits)
    _check_not_empty(values)

    require_space(documents, 2 * values["bytes"]["documents"], "writing the documents")
    with publish(documents) as documents_draft, publish(chat) as chat_draft:
        write_documents(documents_draft, splits)
        write_conversations(chat_draft, chat_splits)
    write_json(report, values)

    metrics = _metrics(values)
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    return dict(metrics)


def _read_all(config: IngestConfig, corpus: Corpus) -> list[list[Account]]:
    from bhasa.documents.sources import list_files
    from bhasa.progress import progress

    listings = [list_files(source, max_file_bytes=config.max_file_bytes) for source in config.sources]
    accounts: list[list[Account]] = []
    total = sum(file.size for files in listings for file in files)
    with progress("reading files", total / 1e3, "kB") as bar:
        for files in listings:
            accounts.append([])
            for file in files:
                accounts[-1].append(corpus.add(file))
                bar.advance(file.size / 1e3)
    return accounts


def _check_folders(config: IngestConfig, raw: Sequence[Path]) -> None:
    """A folder that DVC does not watch could change without a re-run: refuse it."""
    from bhasa.documents.config import FolderSource

    watched = [path.resolve() for path in raw]
    for number, source in enumerate(config.sources):
        if not isinstance(source, FolderSource):
            continue
        folder = Path(source.path).resolve()
        if not any(folder.is_relative_to(path) for path in watched):
            raise UserError(
                f"ingest.sources.{number}.path: '{source.path}' is not among the folders DVC watches "
                f"({', '.join(map(str, raw))}): add `--raw {source.path}` and the dep to dvc.yaml"
            )


def _check_not_empty(report: Mapping[str, Any]) -> None:
    """Later stages need every split of documents and something to tune on: say now what is missing."""
    kept = {split: sizes["documents"] for split, sizes in report["documents"].items()}
    if not any(kept.values()):
        commonest = sorted(report["reasons"], key=lambda row: -row["files"])[:5]
        found = ", ".join(f"{row['reason']} ({row['files']})" for row in commonest)
        raise UserError(
            f"ingest.sources: none of {report['files']['in']} files could be kept: {found}. {_remedy()}"
        )
    empty = [split for split, count in kept.items() if not count]
    if empty:
        counts = ", ".join(f"{split} {count}" for split, count in kept.items())
        raise UserError(
            f"ingest.sources: too few documents for all splits ({counts}). {_remedy()} Raising "
            "ingest.validation_fraction and ingest.test_fraction also helps"
        )
    talks = {split: report["chat"][split]["conversations"] for split in ("train", "validation")}
    if not all(talks.values()):
        counts = ", ".join(f"{split} {count}" for split, count in talks.items())
        raise UserError(
            f"ingest.sources: too few conversations to fine-tune on ({counts}). Add Python files with "
            "docstrings, the source `kind: python-library`, or a .jsonl file with a conversation on each "
            "line, such as "
            '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'
        )


def _remedy() -> str:
    from bhasa.documents.readers import READERS, SOURCE_CODE

    code = {suffix for suffixes in SOURCE_CODE.values() for suffix in suffixes}
    formats = " ".join(sorted(suffix for suffix in READERS if suffix not in code))
    return (
        f"Add files ({formats.strip()} or source code such as .py .c .rs) to a folder in ingest.sources, "
        "or add the source `kind: python-library`."
    )


def _metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The report's counts as flat numbers."""
    counts = {f"files_{outcome}": count for outcome, count in report["files"].items()}
    for split, sizes in report["documents"].items():
        counts |= {f"{split}_documents": sizes["documents"], f"{split}_bytes": sizes["bytes"]}
    for split, sizes in report["chat"].items():
        counts |= {f"{split}_conversations": sizes["conversations"]}
    return counts
