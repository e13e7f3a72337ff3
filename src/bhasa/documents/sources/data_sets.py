"""A data set in the Hugging Face hub's forms, row by row, through `datasets`.

A data set on the hub is held fixed by the hash of a commit, a folder by DVC. Files are parsed in this
process, by Arrow and pandas. What is copied lies in `.bhasa/datasets`, unless a variable in `CACHES` names
another place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhasa.documents.shapes import record_of
from bhasa.documents.source_configs import HuggingFaceConfig
from bhasa.documents.sources import data_set_folder
from bhasa.documents.sources.rows import Row
from bhasa.errors import BhasaError, UserError

if TYPE_CHECKING:
    from datasets import DatasetBuilder, IterableDataset

CACHES = {
    "HF_HUB_CACHE": "hub",
    "HF_XET_CACHE": "xet",
    "HF_DATASETS_CACHE": "datasets",
    "HF_MODULES_CACHE": "modules",
}
SILENCE = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
FORMATS = ("arrow", "csv", "json", "parquet", "text")
PREPARED = "cache"  # of one of these formats, when the hub is not asked again
MAX_MESSAGE = 300


@dataclass(frozen=True)
class DataSet:
    config: HuggingFaceConfig
    splits: Mapping[str, IterableDataset]
    size = 0  # known when all is read

    def partitions(self) -> Iterator[Row]:
        for split, rows in self.splits.items():
            number = -1
            try:
                for number, row in enumerate(islice(rows, self.config.max_rows)):
                    yield self._row(f"{self.config.domain}/{split}/{number}", row)
            except Exception as error:  # of the network or of any parser
                raise _explained(self.config, error, f"split '{split}', row {number + 1}: ") from error

    def _row(self, name: str, row: Mapping[str, object]) -> Row:
        if self.config.text:
            row = {"text": row.get(self.config.text)}
        elif self.config.messages:
            row = {"messages": row.get(self.config.messages)}
        return Row(name, [record_of(row)], _size(row), "application/json")


def open_data_set(config: HuggingFaceConfig, *, max_file_bytes: int) -> DataSet:
    """Raises `UserError` where a split or a column is missing, `BhasaError` where the hub cannot be read."""
    cache = Path(os.environ.get("DVC_ROOT", "."), ".bhasa", "datasets").absolute()
    for variable, folder in CACHES.items():
        os.environ.setdefault(variable, str(cache / folder))
    os.environ.update(SILENCE)  # all of them are read when `datasets` is imported
    import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        splits = data_set_folder.load_saved(config) or _load(config, cache)
        return DataSet(config, {name: _rows(config, splits, name) for name in config.splits})
    except BhasaError:
        raise
    except Exception as error:  # of the network or of any parser
        raise _explained(config, error) from error


def _load(config: HuggingFaceConfig, cache: Path) -> Mapping[str, Any]:
    from datasets import load_dataset_builder

    if config.path:
        data_set_folder.check(Path(config.path))
    where = str(Path(config.path).absolute()) if config.path else config.dataset
    # A cache for each revision: with no network `datasets` takes whichever it finds.
    folder = str(cache / (config.revision or "local"))
    builder = load_dataset_builder(where, config.config, revision=config.revision, cache_dir=folder)
    _check_builder(builder, config)
    if config.path or config.streaming:
        return dict(builder.as_streaming_dataset())
    builder.download_and_prepare()
    return dict(builder.as_dataset())


def _check_builder(builder: DatasetBuilder, config: HuggingFaceConfig) -> None:
    form = type(builder).__module__.rpartition(".")[2]
    if form not in (*FORMATS, *[PREPARED] * bool(config.dataset)):
        raise UserError(f"{_name(config)}: files of the kind '{form}'; read are {', '.join(FORMATS)}")
    files = [file for files in (builder.config.data_files or {}).values() for file in files]
    if config.path:
        data_set_folder.check_inside(Path(config.path), files)
    elif any(not file.startswith(f"hf://datasets/{config.dataset}@{config.revision}/") for file in files):
        raise UserError(
            f"{_name(config)}: its README names files elsewhere, which `revision` does not hold fixed"
        )


def _rows(config: HuggingFaceConfig, splits: Mapping[str, Any], name: str) -> IterableDataset:
    from datasets import Dataset

    if name not in splits:
        raise UserError(f"{_name(config)}: no split '{name}'; there are: {', '.join(splits)}")
    rows = splits[name]
    if isinstance(rows, Dataset):
        rows = rows.with_format(None).to_iterable_dataset()
    if column := config.text or config.messages:
        columns = rows.features or next(iter(rows), {column: None})
        if column not in columns:
            raise UserError(f"{_name(config)}: no column '{column}'; there are: {', '.join(columns)}")
        rows = rows.select_columns([column])
    return rows.decode(False) if rows.features else rows  # pictures and sound stay bytes


def _explained(config: HuggingFaceConfig, error: Exception, where: str = "") -> BhasaError:
    """Nothing of it is kept: half of a data set would be another one, and nobody would see it."""
    from datasets.exceptions import DatasetGenerationError, DatasetsError

    said = next(iter(str(error).splitlines()), "")[:MAX_MESSAGE]
    message = f"{_name(config)}: {where}{said or type(error).__name__}"
    wrong = isinstance(error, DatasetsError | ValueError | RuntimeError)
    if config.dataset and (not wrong or isinstance(error, DatasetGenerationError)):
        return BhasaError(
            f"{message}; the hub could not be read: run again when it can be reached, with HF_TOKEN set "
            "if the data set is not open to all and HF_HUB_OFFLINE unset if it is not copied yet"
        )
    remedy = "" if config.dataset else "; mend the file, or read the folder as one of files by `kind: folder`"
    return UserError(message + remedy)


def _name(config: HuggingFaceConfig) -> str:
    return f"ingest.sources: data set {config.dataset or config.path}"


def _size(value: object) -> int:
    """Bytes of the strings in a row."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, bytes):
        return len(value)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return sum(_size(part) for part in inside)
