"""Stage 1: from the sources of params.yaml to split documents, chat data and an account of every file."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from bhasa.documents.config import IngestConfig
    from bhasa.documents.corpus import Corpus
    from bhasa.tracking import Tracker

MOST_REASONS = 5  # named at the end


def command(
    params: Annotated[Path, typer.Option(help="File with the section `ingest`.")],
    hardware: Annotated[Path, typer.Option(help="Hardware profile: how many files to read at a time.")],
    raw: Annotated[list[Path], typer.Option(help="Folder or file that sources may read; repeat for more.")],
    documents: Annotated[Path, typer.Option(help="Folder to write: Parquet files per split.")],
    chat: Annotated[Path, typer.Option(help="Folder to write: JSON lines of conversations per split.")],
    accounts: Annotated[
        Path, typer.Option(help="File to write: what became of each input file, as Parquet.")
    ],
    report: Annotated[Path, typer.Option(help="File to write: counts of all that, as JSON.")],
    page: Annotated[Path, typer.Option(help="File to write: all that to look at, with samples, as HTML.")],
) -> None:
    """Read, clean, de-duplicate and split the user's files and the Python library."""
    from bhasa.documents.config import IngestConfig
    from bhasa.stages import read_data_executor, tracked

    config = IngestConfig.load(params, "ingest")
    executor, workers = read_data_executor(hardware)
    with tracked("ingest", params) as tracker:
        run(
            config,
            executor=executor,
            workers=workers,
            raw=raw,
            documents=documents,
            chat=chat,
            accounts=accounts,
            report=report,
            page=page,
            tracker=tracker,
        )


def run(
    config: IngestConfig,
    *,
    executor: str,
    workers: int,
    raw: Sequence[Path],
    documents: Path,
    chat: Path,
    accounts: Path,
    report: Path,
    page: Path,
    tracker: Tracker,
) -> dict[str, float | int | str]:
    """Write the folders `documents` and `chat`, the files `accounts`, `report` and `page`; the counts.

    Raises `UserError`, and writes nothing, when there is too little to train, test and tune on.
    """
    from bhasa.documents.corpus import Corpus
    from bhasa.documents.executors import open_executor
    from bhasa.documents.gathering import gather, identity
    from bhasa.documents.look import look_at
    from bhasa.documents.page import render
    from bhasa.documents.parse_cache import ParseCache
    from bhasa.documents.report import make_report
    from bhasa.documents.versions import code_version
    from bhasa.journal import write_json, write_text
    from bhasa.signals import stop_requests
    from bhasa.unfinished import locked

    _check_watched(config, raw)
    with (
        locked(_unfinished()) as folder,
        Corpus(config, folder / "corpus.sqlite", identity(config)) as corpus,
    ):
        started = _started(folder)
        cache = ParseCache(Path(os.environ.get("DVC_ROOT", "."), ".bhasa", "cache"), code_version())
        with open_executor(executor, workers, config, cache) as opened, stop_requests() as stop:
            gather(config, corpus, opened, stop)
        corpus.drop_near_duplicates()
        divided = corpus.divide()
        corpus.make_pairs()
        continuations = corpus.make_continuations()
        values = make_report(config, corpus)
        values["made"] = {"divided": divided, "continuations": continuations}
        _check_not_empty(values, config)
        values["contamination"] = corpus.contamination()
        _write(corpus, documents, chat, accounts)
        write_json(report, values)
        write_text(page, render(values, look_at(documents, accounts, corpus.dropped.samples())))
        cache.remove_unused(since=started)
    _say_what_was_made(values)
    _say_what_was_kept(values, accounts)

    metrics = _metrics(values)
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    tracker.log_file(page)
    return dict(metrics)


def _unfinished() -> Path:
    """Where a workspace has what it has read until it is written."""
    from bhasa.stages import run_folders

    return run_folders("ingest") / hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]


def _started(folder: Path) -> float:
    """When the work in this folder was begun, whichever process it was."""
    mark = folder / "started"
    if not mark.exists():
        mark.touch()
    return mark.stat().st_mtime


def _write(corpus: Corpus, documents: Path, chat: Path, accounts: Path) -> None:
    from bhasa.dataset import SPLITS
    from bhasa.documents.tables import write_conversations, write_documents, write_preferences
    from bhasa.journal import publish, require_space

    require_space(
        documents, sum(size for _, size in corpus.count_documents().values()), "writing the documents"
    )
    with publish(documents) as documents_draft, publish(chat) as chat_draft, publish(accounts) as draft:
        documents_draft.mkdir()
        chat_draft.mkdir()
        write_documents(documents_draft, {split: corpus.documents(split) for split in SPLITS})
        write_conversations(chat_draft, {split: corpus.conversations(split) for split in SPLITS})
        write_preferences(chat_draft, {split: corpus.preferences(split) for split in SPLITS})
        corpus.accounts.write(draft)


def _check_watched(config: IngestConfig, raw: Sequence[Path]) -> None:
    """What DVC does not watch could change without a re-run: refuse it."""
    watched = [path.resolve() for path in raw]
    for number, source in enumerate(config.sources):
        path = source.local_path
        if path and not any(Path(path).resolve().is_relative_to(place) for place in watched):
            raise UserError(
                f"ingest.sources.{number}.path: '{path}' is not among what DVC watches "
                f"({', '.join(map(str, raw))}): add `--raw {path}` and the dep to dvc.yaml"
            )


def _check_not_empty(report: Mapping[str, Any], config: IngestConfig) -> None:
    """Later stages need every split of documents and something to tune on: say now what is missing."""
    kept = {split: sizes["documents"] for split, sizes in report["documents"].items()}
    if not any(kept.values()) and report["files"]["kept"]:
        raise UserError(f"ingest.sources: there is chat data and no text for the base model. {_remedy()}")
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
            f"ingest.sources: too few documents for all splits ({counts}). {_remedy()}"
            + (" Or set ingest.split_by: document" if config.split_by != "document" else "")
        )
    talks = {split: report["chat"][split]["conversations"] for split in ("train", "validation")}
    if not all(talks.values()):
        counts = ", ".join(f"{split} {count}" for split, count in talks.items())
        raise UserError(
            f"ingest.sources: too few conversations to fine-tune on ({counts}). Add Python files with "
            "docstrings, the source `kind: python-library`, or a .jsonl file with a conversation on each "
            "line, such as "
            '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}, '
            '{"instruction": "...", "output": "..."}, {"prompt": "...", "completion": "..."} or '
            '{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}'
        )


def _say_what_was_kept(report: Mapping[str, Any], accounts: Path) -> None:
    """What nobody would look for otherwise: how much was kept, and why the rest was not."""
    from bhasa.documents.records import ASKED_FOR
    from bhasa.journal import size

    files, sizes = report["files"], report["bytes"]
    kept = f"{files['kept']:,} of {files['in']:,} files, {size(sizes['kept'])} of {size(sizes['in'])}"
    rows = sorted(report["reasons"], key=lambda row: -row["bytes"])
    reasons = [
        f"{row['reason']} ({row['files']:,} files, {size(row['bytes'])})" for row in rows[:MOST_REASONS]
    ]
    if rows[MOST_REASONS:]:
        files_more = sum(row["files"] for row in rows[MOST_REASONS:])
        reasons.append(f"{len(rows) - MOST_REASONS} more reasons ({files_more:,} files)")
    print(
        "; ".join([f"ingest: kept {kept}", *([f"not kept: {', '.join(reasons)}"] if reasons else [])]),
        file=sys.stderr,
    )
    wanted = sizes["in"] - sum(row["bytes"] for row in rows if row["reason"] in ASKED_FOR)
    if 2 * sizes["kept"] < wanted:
        print(f"ingest: most bytes were not kept; {accounts} says why, file by file", file=sys.stderr)


def _say_what_was_made(report: Mapping[str, Any]) -> None:
    """What nobody would expect of so small a corpus."""
    made = report["made"]
    if made["divided"]:
        print(
            "ingest: too few documents to be split whole: each that is long enough is divided, in order, "
            "into a part for train, validation and test",
            file=sys.stderr,
        )
    if made["continuations"]:
        print(
            f"ingest: too few conversations to fine-tune on: {made['continuations']:,} are made of the "
            'documents\' own text ("Continue: ..." and what comes next)',
            file=sys.stderr,
        )


def _remedy() -> str:
    from bhasa.documents.readers import READERS
    from bhasa.documents.readers.languages import SOURCE_CODE

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
        counts |= {f"{split}_{kind}": count for kind, count in sizes.items()}
    return counts
